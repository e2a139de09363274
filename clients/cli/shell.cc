#include "shell.h"

#include <histedit.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command_line.h"
#include "input.h"

namespace entrepot::cli {
namespace {

constexpr int kHistoryLines = 1000;
// Keys that a completion asks for; more are told by "…".
constexpr uint32_t kCompletionKeys = 50;
// A completion that takes longer is none.
constexpr int64_t kCompletionTimeoutMs = 500;

constexpr const char* kHelp =
    "Commands are those of the command line: get set del incr append touch mget find scan count\n"
    "watch changes stats save backup ping import export raw. COMMAND --help tells more; Tab "
    "completes commands and keys;\n"
    "exit or Ctrl-D ends.\n";

std::string HistoryFile() {
  if (const char* named = std::getenv("ENTREPOT_HISTORY")) return named;
  const char* home = std::getenv("HOME");
  return home == nullptr ? std::string() : std::string(home) + "/.entrepot_history";
}

// A word as it must stand on the line to be one word.
std::string QuoteWord(std::string_view word) {
  std::string quoted;
  for (const char character : word) {
    if (character == ' ' || character == '\t' || character == '\\' || character == '\'' ||
        character == '"') {
      quoted.push_back('\\');
    }
    quoted.push_back(character);
  }
  return quoted;
}

std::string CommonPrefix(const std::vector<std::string>& words) {
  std::string prefix = words.front();
  for (const std::string& word : words) {
    const auto [end, unused] =
        std::mismatch(prefix.begin(), prefix.end(), word.begin(), word.end());
    prefix.erase(end, prefix.end());
  }
  return prefix;
}

// What the word before the cursor can become, in order.
std::vector<std::string> Candidates(const std::vector<std::string>& words_before,
                                    const std::string& word, Session& session) {
  std::vector<std::string> candidates;
  if (words_before.empty()) {
    candidates = CommandNames();
    candidates.insert(candidates.end(), {"exit", "help"});
    std::sort(candidates.begin(), candidates.end());
    std::erase_if(candidates, [&](const std::string& name) { return !name.starts_with(word); });
    return candidates;
  }
  const Result<Page> page =
      session.client.ScanPage(word, {.limit = kCompletionKeys,
                                     .values = false,
                                     .call = {.timeout_ms = kCompletionTimeoutMs, .retries = 0}});
  if (!page.ok()) return {};  // No server, no completion; the command itself will say why.
  for (const Entry& entry : page->items) candidates.push_back(entry.key);
  return candidates;
}

unsigned char Complete(EditLine* editor, int) {
  void* data = nullptr;
  el_get(editor, EL_CLIENTDATA, &data);
  Session& session = *static_cast<Session*>(data);
  const LineInfo* line = el_line(editor);
  const std::string before(line->buffer, line->cursor - line->buffer);
  Result<std::vector<std::string>> words = SplitWords(before);
  if (!words.ok()) return CC_ERROR;
  std::string word;
  if (!words->empty() && !before.ends_with(' ')) {
    word = words->back();
    words->pop_back();
  }
  const std::vector<std::string> candidates = Candidates(*words, word, session);
  if (candidates.empty()) return CC_ERROR;
  const std::string common = CommonPrefix(candidates);
  std::string insertion = QuoteWord(std::string_view(common).substr(word.size()));
  if (candidates.size() == 1) insertion += ' ';
  if (!insertion.empty()) {
    el_insertstr(editor, insertion.c_str());
    return CC_REFRESH;
  }
  std::fputc('\n', session.console.out);
  for (const std::string& candidate : candidates) {
    std::fprintf(session.console.out, "%s\n", EscapeLine(candidate).c_str());
  }
  if (candidates.size() == kCompletionKeys) std::fputs("…\n", session.console.out);
  std::fflush(session.console.out);
  return CC_REDISPLAY;
}

// Runs one line; false when it asks to end.
bool RunOneLine(const std::string& line, Session& session, ExitStatus* status) {
  const Result<std::vector<std::string>> words = SplitWords(line);
  if (!words.ok()) {
    *status = session.Usage(words.status().message());
    return true;
  }
  if (words->empty() || words->front().starts_with('#')) return true;
  if (words->front() == "exit" || words->front() == "quit") return false;
  if (words->front() == "help") {
    std::fputs(kHelp, session.console.out);
    return true;
  }
  *status = RunLine(*words, session);
  std::fflush(session.console.out);
  return true;
}

ExitStatus RunScript(Session& session) {
  ExitStatus status = ExitStatus::kOk;
  std::string line;
  while (std::getline(std::cin, line) && RunOneLine(line, session, &status)) {
  }
  return status;
}

// Ctrl-C gives up the line, not the program: the handler only makes the reading return.
void InterruptReading(int) {}

class InterruptGivesUpTheLine {
 public:
  InterruptGivesUpTheLine() {
    struct sigaction action = {};
    action.sa_handler = InterruptReading;
    sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGivesUpTheLine() { sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

char* Prompt(EditLine*) {
  static char prompt[] = "entrepot> ";
  return prompt;
}

ExitStatus RunPrompt(Session& session) {
  const std::unique_ptr<EditLine, void (*)(EditLine*)> editor(
      el_init("entrepot", stdin, stdout, stderr), el_end);
  const std::unique_ptr<History, void (*)(History*)> lines(history_init(), history_end);
  if (editor == nullptr || lines == nullptr) {
    return session.Fail(ExitStatus::kServerError, "the terminal cannot be edited");
  }
  const std::string file = HistoryFile();
  HistEvent event;
  history(lines.get(), &event, H_SETSIZE, kHistoryLines);
  history(lines.get(), &event, H_SETUNIQUE, 1);
  if (!file.empty()) history(lines.get(), &event, H_LOAD, file.c_str());
  el_set(editor.get(), EL_PROMPT, Prompt);
  el_set(editor.get(), EL_EDITOR, "emacs");
  el_set(editor.get(), EL_HIST, history, lines.get());
  el_set(editor.get(), EL_CLIENTDATA, &session);
  el_set(editor.get(), EL_ADDFN, "entrepot-complete", "Completes commands and keys", Complete);
  el_set(editor.get(), EL_BIND, "^I", "entrepot-complete", nullptr);
  el_set(editor.get(), EL_BIND, "^R", "em-inc-search-prev", nullptr);

  ExitStatus status = ExitStatus::kOk;
  bool open = true;
  while (open) {
    int count = 0;
    const char* text = nullptr;
    {
      const InterruptGivesUpTheLine interrupt;
      text = el_gets(editor.get(), &count);
    }
    if (text == nullptr && count < 0 && errno == EINTR) {
      std::fputs("^C\n", session.console.out);
      el_reset(editor.get());
      continue;
    }
    if (text == nullptr || count <= 0) break;
    std::string line(text, count);
    while (!line.empty() && line.back() == '\n') line.pop_back();
    if (!line.empty()) history(lines.get(), &event, H_ENTER, line.c_str());
    open = RunOneLine(line, session, &status);
  }
  if (open) std::fputc('\n', session.console.out);
  if (!file.empty()) history(lines.get(), &event, H_SAVE, file.c_str());
  return status;
}

}  // namespace

ExitStatus ShellCommand::Run(Session& session) const {
  return isatty(STDIN_FILENO) == 1 ? RunPrompt(session) : RunScript(session);
}

}  // namespace entrepot::cli
