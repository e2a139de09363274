// Runs a libFuzzer target as a plain test: every file of a corpus, then a bounded number of seeded
// mutations of them. It finds less than libFuzzer, which follows the branches taken, but it runs in
// every build and ends.
//
//    decoder_fuzz CORPUS_FOLDER [SEED]
//
// The input that crashes the program is printed in hexadecimal.
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

// A sanitizer's finding ends in SIGABRT, so that the input is printed then too.
extern "C" const char* __asan_default_options() { return "abort_on_error=1"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 100'000;
constexpr int kEditsMax = 8;  // Of one input.
constexpr size_t kInputBytesMax = 4096;
constexpr uint64_t kDefaultSeed = 20'261'124;

// Bytes at which parsers decide: ends of ranges, and the first bytes of msgpack's long forms.
constexpr uint8_t kInterestingBytes[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                         0xc0, 0xc1, 0xc4, 0xc6, 0xc9, 0xca, 0xcb,
                                         0xcf, 0xd3, 0xd9, 0xdb, 0xdd, 0xdf, 0xff};

std::vector<std::string> ReadCorpus(const std::string& folder) {
  std::set<std::filesystem::path> paths;  // Sorted: the order of a directory differs by machine.
  std::error_code error;  // A folder that is not there is as one that is empty: refused below.
  for (const auto& file : std::filesystem::directory_iterator(folder, error)) {
    paths.insert(file.path());
  }
  std::vector<std::string> corpus;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}

  std::string Next() {
    std::string input = AnyOfCorpus();
    for (size_t edits = 1 + Below(kEditsMax); edits > 0; --edits) Edit(input);
    if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
    return input;
  }

 private:
  size_t Below(size_t bound) { return random_() % bound; }
  const std::string& AnyOfCorpus() { return corpus_[Below(corpus_.size())]; }
  char AnyByte() {
    return static_cast<char>(Below(2) == 0 ? random_()
                                           : kInterestingBytes[Below(sizeof kInterestingBytes)]);
  }

  void Edit(std::string& input) {
    const size_t at = Below(input.size() + 1);
    const size_t length = Below(input.size() - at + 1);
    switch (Below(6)) {
      case 0:
        input.resize(at);
        return;
      case 1:
        input.erase(at, length);
        return;
      case 2:
        input.insert(at, 1, AnyByte());
        return;
      case 3:
        input.insert(at, input.substr(at, length));
        return;
      case 4:
        input.replace(at, length, AnyOfCorpus());
        return;
      default:
        if (at < input.size()) input[at] = AnyByte();
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_;
};

std::string_view input_under_test;

// Only what a signal handler may call.
void PrintInput(int signal_number) {
  constexpr char kDigits[] = "0123456789abcdef";
  bool written = write(STDERR_FILENO, "input: ", 7) == 7;
  for (const char c : input_under_test) {
    const auto byte = static_cast<unsigned char>(c);
    const char hex[] = {kDigits[byte >> 4], kDigits[byte & 15]};
    written = written && write(STDERR_FILENO, hex, sizeof hex) == sizeof hex;
  }
  if (written) written = write(STDERR_FILENO, "\n", 1) == 1;
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void RunOne(const std::string& input) {
  input_under_test = input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: {} CORPUS_FOLDER [SEED]\n", argv[0]);
    return 2;
  }
  const std::vector<std::string> corpus = ReadCorpus(argv[1]);
  if (corpus.empty()) {
    fmt::print(stderr, "{} holds no inputs\n", argv[1]);
    return 1;
  }
  std::signal(SIGABRT, PrintInput);
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : kDefaultSeed;
  fmt::print("{} inputs, {} mutations, seed {}\n", corpus.size(), kMutations, seed);
  for (const std::string& input : corpus) RunOne(input);
  Mutator mutator(corpus, seed);
  for (int i = 0; i < kMutations; ++i) RunOne(mutator.Next());
  return 0;
}
