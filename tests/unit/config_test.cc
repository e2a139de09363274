#include "server/config.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/option.h"

namespace entrepot {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class ConfigTest : public testing::Test {
 protected:
  ~ConfigTest() override {
    for (const std::string& file : files_) std::filesystem::remove(file);
  }

  void SetVariable(const std::string& name, const std::string& value) { variables_[name] = value; }

  // The path of a new file that holds `content`.
  std::string WriteFile(const std::string& content) {
    const std::string path = testing::TempDir() + "/config_test." +
                             std::to_string(reinterpret_cast<uintptr_t>(this)) + "." +
                             std::to_string(files_.size()) + ".toml";
    std::ofstream(path) << content;
    files_.push_back(path);
    return path;
  }

  Result<Config> Start(const std::vector<const char*>& arguments) {
    const Environment environment = [this](const char* name) {
      const auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.c_str();
    };
    return ReadConfig(arguments, environment, "1.2.3");
  }

  Config MustStart(const std::vector<const char*>& arguments) {
    Result<Config> config = Start(arguments);
    EXPECT_TRUE(config.ok()) << config.status().message();
    return config.ok() ? *config : Config();
  }

  // What a start with `arguments` is refused with; empty if it is not.
  std::string RefusalOf(const std::vector<const char*>& arguments) {
    const Result<Config> config = Start(arguments);
    EXPECT_TRUE(config.ok() || config.status().code() == Code::kInvalidArgument);
    return config.status().message();
  }

  std::string AnswerTo(const char* flag) {
    const Config config = MustStart({flag});
    EXPECT_TRUE(config.answer.has_value());
    return config.answer.value_or("");
  }

 private:
  std::map<std::string, std::string> variables_;
  std::vector<std::string> files_;
};

TEST_F(ConfigTest, DefaultsAreLoopbackAndDocumentedLimits) {
  const Config config = MustStart({});
  EXPECT_THAT(config.options.listen, ElementsAre("tcp://127.0.0.1:5555"));
  EXPECT_EQ(config.options.dispatch, DispatchMode::kInline);
  EXPECT_EQ(config.options.stripes, kStripesDefault);
  EXPECT_EQ(config.options.limits.value_bytes, size_t{16} << 20);
  EXPECT_EQ(config.log_level, LogLevel::kInfo);
  EXPECT_FALSE(config.options.insecure);
  EXPECT_FALSE(config.answer.has_value());
}

TEST_F(ConfigTest, TheFeedIsBesideTheFirstLoopbackListener) {
  const std::vector<std::string> listen = {"ipc:///tmp/a", "tcp://10.0.0.1:7",
                                           "tcp://127.0.0.1:5555", "tcp://[::1]:7000"};
  EXPECT_EQ(FeedEndpoint("auto", listen), "tcp://127.0.0.1:5556");
  EXPECT_EQ(FeedEndpoint("auto", {"tcp://[::1]:0"}), "tcp://[::1]:0");
  EXPECT_EQ(FeedEndpoint("auto", {"tcp://127.0.0.1:65535", "inproc://a"}), "");
  EXPECT_EQ(FeedEndpoint("off", listen), "");
  EXPECT_EQ(FeedEndpoint("ipc:///tmp/f", listen), "ipc:///tmp/f");
}

TEST_F(ConfigTest, FlagsSetTheirFields) {
  const Config config = MustStart({"--listen",
                                   "tcp://127.0.0.1:0",
                                   "--listen=ipc:///tmp/a",
                                   "--dispatch",
                                   "workers",
                                   "--workers",
                                   "7",
                                   "--stripes",
                                   "256",
                                   "--key-index",
                                   "off",
                                   "--value-index",
                                   "off",
                                   "--max-key-bytes",
                                   "100",
                                   "--max-value-bytes",
                                   "64KiB",
                                   "--max-body-bytes",
                                   "1MiB",
                                   "--max-reply-bytes",
                                   "8192",
                                   "--max-nesting",
                                   "5",
                                   "--max-requests",
                                   "6",
                                   "--max-get-many-keys",
                                   "8",
                                   "--max-transact-operations",
                                   "9",
                                   "--ports-file",
                                   "/tmp/p",
                                   "--log-level",
                                   "debug",
                                   "--feed",
                                   "tcp://127.0.0.1:0",
                                   "--admin",
                                   "off",
                                   "--data",
                                   "none",
                                   "--transport",
                                   "zmq",
                                   "--insecure"});
  const Options& options = config.options;
  EXPECT_THAT(options.listen, ElementsAre("tcp://127.0.0.1:0", "ipc:///tmp/a"));
  EXPECT_EQ(options.feed, "tcp://127.0.0.1:0");
  EXPECT_EQ(options.dispatch, DispatchMode::kWorkers);
  EXPECT_EQ(options.workers, 7u);
  EXPECT_EQ(options.stripes, 256u);
  EXPECT_EQ(options.key_index, IndexMode::kOff);
  EXPECT_EQ(options.value_index, IndexMode::kOff);
  EXPECT_EQ(options.limits.key_bytes, 100u);
  EXPECT_EQ(options.limits.value_bytes, 65536u);
  EXPECT_EQ(options.limits.body_bytes, 1u << 20);
  EXPECT_EQ(options.limits.reply_bytes, 8192u);
  EXPECT_EQ(options.limits.nesting, 5u);
  EXPECT_EQ(options.limits.requests, 6u);
  EXPECT_EQ(options.limits.get_many_keys, 8u);
  EXPECT_EQ(options.limits.transact_operations, 9u);
  EXPECT_EQ(config.ports_file, "/tmp/p");
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_TRUE(options.insecure);
}

TEST_F(ConfigTest, FlagBeatsVariableBeatsFileBeatsDefault) {
  const std::string file = WriteFile("workers = 2\nstripes = 128\nmax-nesting = 2\n");
  SetVariable("ENTREPOT_WORKERS", "3");
  SetVariable("ENTREPOT_STRIPES", "256");
  const Config config = MustStart({"--config", file.c_str(), "--workers", "5"});
  EXPECT_EQ(config.options.workers, 5u);
  EXPECT_EQ(config.options.stripes, 256u);
  EXPECT_EQ(config.options.limits.nesting, 2u);
  EXPECT_EQ(config.options.limits.requests, Limits().requests);
}

TEST_F(ConfigTest, ListOfAHigherSourceReplacesThatOfALower) {
  const std::string file = WriteFile("listen = [\"ipc:///tmp/a\", \"ipc:///tmp/b\"]\n");
  SetVariable("ENTREPOT_CONFIG", file);
  EXPECT_THAT(MustStart({}).options.listen, ElementsAre("ipc:///tmp/a", "ipc:///tmp/b"));
  SetVariable("ENTREPOT_LISTEN", "ipc:///tmp/c,ipc:///tmp/d");
  EXPECT_THAT(MustStart({}).options.listen, ElementsAre("ipc:///tmp/c", "ipc:///tmp/d"));
  EXPECT_THAT(MustStart({"--listen", "ipc:///tmp/e"}).options.listen, ElementsAre("ipc:///tmp/e"));
}

TEST_F(ConfigTest, EmptyVariableIsAsIfItWasNotThere) {
  SetVariable("ENTREPOT_WORKERS", "");
  EXPECT_EQ(MustStart({}).options.workers, 0u);
}

TEST_F(ConfigTest, ErrorsNameWhereAndWhatWasExpected) {
  EXPECT_EQ(RefusalOf({"--workers", "many"}),
            "--workers: expects a number from 0 to 256, not \"many\"");
  EXPECT_EQ(RefusalOf({"--workers", "257"}),
            "--workers: expects a number from 0 to 256, not \"257\"");
  EXPECT_EQ(RefusalOf({"--workers=-1"}), "--workers: expects a number from 0 to 256, not \"-1\"");
  EXPECT_EQ(RefusalOf({"--stripes", "3"}),
            "--stripes: expects a power of two from 64 to 65536, not \"3\"");
  EXPECT_EQ(RefusalOf({"--dispatch", "magic"}),
            "--dispatch: expects inline or workers, not \"magic\"");
  EXPECT_THAT(RefusalOf({"--max-value-bytes", "1GiB"}), HasSubstr("a size from 1 to 33554431"));
  EXPECT_THAT(RefusalOf({"--log-keep-time", "0s"}), HasSubstr("expects a duration"));
  EXPECT_THAT(RefusalOf({"--log-keep-time", "4000d"}), HasSubstr("expects a duration"));
  EXPECT_THAT(RefusalOf({"--log-keep-bytes", "-1"}), HasSubstr("log-keep-bytes"));
  EXPECT_EQ(*ReadKeepTime("90s"), 90'000);
  EXPECT_EQ(*ReadKeepTime("7d"), 604'800'000);
  EXPECT_THAT(RefusalOf({"--sync", "sometimes"}), HasSubstr("always, never or a duration"));
  EXPECT_THAT(RefusalOf({"--sync", "0ms"}), HasSubstr("always, never or a duration"));
  EXPECT_THAT(RefusalOf({"--feed", "on"}), StartsWith("--feed: expects off, auto or an endpoint"));
  EXPECT_THAT(RefusalOf({"--feed", "tcp://0.0.0.0:1"}), HasSubstr("--insecure allows it"));
  EXPECT_THAT(RefusalOf({"--admin", "tcp://127.0.0.1:1"}), StartsWith("--admin: expects off"));
  EXPECT_THAT(RefusalOf({"--log-level", "loud"}), HasSubstr("debug or info or warning or error"));
  SetVariable("ENTREPOT_KEY_INDEX", "on");
  EXPECT_EQ(RefusalOf({}), "ENTREPOT_KEY_INDEX: expects auto or off, not \"on\"");
}

TEST_F(ConfigTest, UnknownFlagsMissingAndSurplusArgumentsAreErrors) {
  EXPECT_EQ(RefusalOf({"--wrokers", "1"}), "there is no option --wrokers (see --help)");
  EXPECT_THAT(RefusalOf({"stray"}), HasSubstr("stray"));
  EXPECT_THAT(RefusalOf({"--workers"}), HasSubstr("--workers"));
  EXPECT_THAT(RefusalOf({"--workers", "1", "--workers", "2"}), HasSubstr("--workers"));
  EXPECT_THAT(RefusalOf({"--listen", "ipc:///tmp/a", "ipc:///tmp/b"}), HasSubstr("ipc:///tmp/b"));
}

TEST_F(ConfigTest, ErrorInAFileNamesLineAndColumn) {
  const auto refusal = [this](const std::string& content) {
    const std::string file = WriteFile(content);
    const std::string message = RefusalOf({"--config", file.c_str()});
    EXPECT_THAT(message, StartsWith(file + ":"));
    return message.substr(std::min(message.size(), file.size() + 1));
  };
  EXPECT_EQ(refusal("workers = 1\n\n  wrokers = 2\n"), "3:3: unknown key \"wrokers\"");
  EXPECT_EQ(refusal("[limits]\nkey_bytes = 1\n"), "1:2: unknown key \"limits\"");
  EXPECT_EQ(refusal("workers = 1\nstripes = 5\n"),
            "2:11: stripes: expects a power of two from 64 to 65536, not \"5\"");
  EXPECT_THAT(refusal("workers = 1.5\n"), StartsWith("1:11: workers: expects a whole number"));
  EXPECT_EQ(refusal("insecure = [true]\n"), "1:12: insecure: expects true or false");
  EXPECT_EQ(refusal("dispatch = 1979-05-27\n"), "1:12: dispatch: expects a string");
  EXPECT_EQ(refusal("listen = [\"ipc:///tmp/a\", 1.5]\n"),
            "1:10: listen: expects an array of strings");
  EXPECT_EQ(refusal("listen = []\n"), "1:10: listen: expects one or more");
  EXPECT_THAT(refusal("workers =\n"), AllOf(StartsWith("1:"), HasSubstr("expected value")));
  EXPECT_THAT(refusal("workers = 1\nworkers = 2\n"), StartsWith("2:"));
}

TEST_F(ConfigTest, FileThatCannotBeReadIsNamedWithTheReason) {
  EXPECT_EQ(RefusalOf({"--config", "/no/such.toml"}),
            "/no/such.toml: cannot be read: No such file or directory");
  const std::string folder = testing::TempDir();
  EXPECT_EQ(RefusalOf({"--config", folder.c_str()}), folder + ": cannot be read: Is a directory");
}

TEST_F(ConfigTest, EmptyFileSetsNothing) {
  const std::string file = WriteFile("");
  EXPECT_EQ(ConfigAsToml(MustStart({"--config", file.c_str()})), ConfigAsToml(Config()));
}

TEST_F(ConfigTest, ListenerOpenToOthersNeedsInsecure) {
  for (const char* endpoint :
       {"tcp://0.0.0.0:5555", "tcp://*:5555", "tcp://eth0:0", "tcp://[::]:1",
        "tcp://[::ffff:10.0.0.1]:1", "tcp://192.168.1.5:5555", "tcp://localhost.example:1"}) {
    EXPECT_THAT(RefusalOf({"--listen", endpoint}),
                AllOf(HasSubstr(endpoint), HasSubstr("--insecure")));
    EXPECT_EQ(RefusalOf({"--listen", endpoint, "--insecure"}), "");
  }
  for (const char* endpoint :
       {"tcp://127.0.0.1:0", "tcp://127.3.2.1:5", "tcp://localhost:5555", "tcp://[::1]:5555",
        "tcp://::1:5555", "tcp://[::ffff:127.0.0.1]:5555", "ipc:///tmp/socket", "inproc://store"}) {
    EXPECT_EQ(RefusalOf({"--listen", endpoint}), "");
  }
}

TEST_F(ConfigTest, HostNameThatOnlyBeginsLikeLoopbackNeedsInsecure) {
  EXPECT_THAT(RefusalOf({"--listen", "tcp://127.example.org:5555"}), HasSubstr("--insecure"));
}

TEST_F(ConfigTest, EndpointsThatAreNoneAreRefused) {
  for (const char* endpoint : {"127.0.0.1:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:",
                               "tcp://127.0.0.1:65536", "tcp://:5555", "ipc://", "udp://a:1", ""}) {
    EXPECT_THAT(RefusalOf({"--listen", endpoint}), StartsWith("--listen: expects an endpoint"));
  }
}

TEST_F(ConfigTest, PrintedConfigurationReadsBack) {
  const Config config = MustStart(
      {"--listen", "tcp://127.0.0.1:0", "--listen", "ipc:///tmp/it's \"a\" socket", "--workers",
       "3", "--max-value-bytes", "65537", "--max-body-bytes", "3MiB", "--value-index", "off",
       "--log-level", "error", "--ports-file", "/tmp/a\\b\t\xc3\xa9"});
  const std::string file = WriteFile(ConfigAsToml(config));
  const Config again = MustStart({"--config", file.c_str()});
  EXPECT_EQ(ConfigAsToml(again), ConfigAsToml(config));
  EXPECT_EQ(again.options.listen, config.options.listen);
  EXPECT_EQ(again.ports_file, config.ports_file);
  EXPECT_EQ(again.options.limits.value_bytes, 65537u);
  EXPECT_EQ(again.options.limits.body_bytes, size_t{3} << 20);
}

TEST_F(ConfigTest, QuestionsAreAnsweredInsteadOfServing) {
  EXPECT_EQ(AnswerTo("--version"), "entrepot-server 1.2.3\n");
  EXPECT_EQ(AnswerTo("--check-config"), "The configuration is valid.\n");
  EXPECT_EQ(AnswerTo("--print-config"), ConfigAsToml(Config()));
  EXPECT_NE(RefusalOf({"--check-config", "--workers", "many"}), "");
}

TEST_F(ConfigTest, HelpNamesEveryKeyOfTheFile) {
  const std::string help = AnswerTo("--help");
  const std::string toml = ConfigAsToml(Config());
  int keys = 0;
  for (size_t at = 0; (at = toml.find(" = ", at)) != std::string::npos; ++at, ++keys) {
    const size_t line = toml.rfind('\n', at) + 1;
    EXPECT_THAT(help, HasSubstr("--" + toml.substr(line, at - line)));
  }
  EXPECT_GE(keys, 20);
}

TEST_F(ConfigTest, OptionsOfALibraryUserAreCheckedToo) {
  Options options;
  options.listen = {"inproc://store"};
  EXPECT_TRUE(CheckOptions(options).ok());
  options.stripes = 5;
  EXPECT_THAT(CheckOptions(options).message(), StartsWith("stripes: expects a power of two"));
  options.stripes = 64;
  options.limits.value_bytes = size_t{1} << 30;
  EXPECT_THAT(CheckOptions(options).message(), StartsWith("max-value-bytes: "));
  options.limits.value_bytes = 1;
  options.listen = {"tcp://*:1"};
  EXPECT_THAT(CheckOptions(options).message(), HasSubstr("--insecure"));
}

TEST(SizeTest, ReadsUnitsAndRefusesWhatIsNoSize) {
  constexpr Range kAny = {0, UINT64_MAX};
  EXPECT_EQ(*ParseSize("0", kAny), 0u);
  EXPECT_EQ(*ParseSize("1023", kAny), 1023u);
  EXPECT_EQ(*ParseSize("64KiB", kAny), 65536u);
  EXPECT_EQ(*ParseSize("16MiB", kAny), 16u << 20);
  EXPECT_EQ(*ParseSize("3GiB", kAny), uint64_t{3} << 30);
  for (const char* text : {"", "KiB", "1kib", "1 KiB", "-1", "1.5MiB", "0x10", "1KiBKiB",
                           "18446744073709551616", "17179869184GiB"}) {
    EXPECT_FALSE(ParseSize(text, kAny).ok()) << text;
  }
}

TEST(SizeTest, IsWrittenWithTheLargestUnitThatFitsAndReadsBack) {
  EXPECT_EQ(FormatSize(0), "0");
  EXPECT_EQ(FormatSize(1000), "1000");
  EXPECT_EQ(FormatSize(1024), "1KiB");
  EXPECT_EQ(FormatSize(1536), "1536");
  EXPECT_EQ(FormatSize(uint64_t{3} << 30), "3GiB");
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{1} << 63, UINT64_MAX, uint64_t{5} << 20}) {
    EXPECT_EQ(*ParseSize(FormatSize(bytes), {0, UINT64_MAX}), bytes);
  }
}

}  // namespace
}  // namespace entrepot
