// status, down and dump against an engine that answers as the test wants.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "engine/command_cache.h"
#include "engine/command_down.h"
#include "engine/command_dump.h"
#include "engine/command_error.h"
#include "engine/command_status.h"
#include "tests/unit/engine/command_fake_engine.h"

namespace mptcptls::command {
namespace {

using control::Verb;
using testing::HasSubstr;

constexpr uid_t kStranger = 65534;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class Folder {
 public:
  Folder() { EXPECT_NE(mkdtemp(path_), nullptr); }
  ~Folder() {
    unlink(File().c_str());
    rmdir(path_);
  }
  std::string File() const { return std::string(path_) + "/dump.pcapng"; }

 private:
  char path_[32] = "/tmp/mptcptls-test-XXXXXX";
};

std::string ContentOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(CommandConversation, WithoutEngineStatusSaysHowToStartOneAndDownIsContent) {
  RUN_IN_FRESH_NAMESPACE([] {
    const auto status = FetchStatus();
    EXPECT_TRUE(absl::IsNotFound(status.status()));
    EXPECT_THAT(Message(status.status()), HasSubstr("mptcptls run"));
    EXPECT_EQ(ShowStatus({}), kFailure);
    EXPECT_EQ(TakeDown(), kSuccess);
  });
}

TEST(CommandConversation, StatusIsThePayloadAsItCame) {
  RUN_IN_FRESH_NAMESPACE([] {
    const std::string json(300'000, 'x');  // more than a socket's buffer holds at once
    const FakeEngine engine([&](int connection) {
      if (TakeRequest(connection).verb != Verb::kStatus) _exit(1);
      SendReply(connection, 0, "", json);
      AwaitEnd(connection);
    });
    const auto status = FetchStatus();
    ASSERT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(*status, json);
  });
}

TEST(CommandConversation, PayloadThatEndsEarlyIsAnError) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      TakeRequest(connection);
      auto reply = control::Make<control::Reply>(Verb::kReply);
      reply.payload_length = 100;
      if (write(connection, &reply, sizeof reply) < 0) _exit(1);
    });
    EXPECT_THAT(Message(FetchStatus().status()), HasSubstr("hung up"));
  });
}

TEST(CommandConversation, PayloadThatNoEngineSendsIsRefused) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      TakeRequest(connection);
      auto reply = control::Make<control::Reply>(Verb::kReply);
      reply.payload_length = UINT32_MAX;
      if (write(connection, &reply, sizeof reply) < 0) _exit(1);
      AwaitEnd(connection);
    });
    EXPECT_THAT(Message(FetchStatus().status()), HasSubstr("announces 4294967295 bytes"));
  });
}

TEST(CommandConversation, AnotherVersionIsNamedWhicheverWayTheEngineSaysIt) {
  const struct {
    int error;
    uint32_t version;
  } cases[] = {{control::kErrorVersion, control::kVersion},
               {control::kErrorVersion, control::kVersion + 1},
               {0, control::kVersion + 1}};
  for (const auto& c : cases) {
    RUN_IN_FRESH_NAMESPACE([&] {
      const FakeEngine engine([&](int connection) {
        TakeRequest(connection);
        SendReply(connection, c.error, "", "", c.version);
      });
      const std::string versions = "(" + std::to_string(c.version) + ", not " +
                                   std::to_string(control::kVersion) + "): end it (mptcptls down)";
      EXPECT_THAT(Message(FetchStatus().status()), HasSubstr(versions));
    });
  }
}

TEST(CommandConversation, DownEndsAnEngineOfAnotherVersion) {
  RUN_IN_FRESH_NAMESPACE([&] {
    const FakeEngine engine([&](int connection) {
      TakeRequest(connection);
      SendReply(connection, control::kErrorVersion, "", "", control::kVersion + 1);
      pause();
    });
    EXPECT_EQ(TakeDown(), kSuccess);
    siginfo_t end = {};
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(engine.pid()), &end, WEXITED | WNOHANG | WNOWAIT), 0);
    EXPECT_EQ(end.si_code, CLD_KILLED);
    EXPECT_EQ(end.si_status, SIGTERM);
  });
}

TEST(CommandConversation, NoiseInsteadOfAReplyIsAnError) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      TakeRequest(connection);
      const std::string noise(500, 'n');
      if (write(connection, noise.data(), noise.size()) < 0) _exit(1);
    });
    EXPECT_THAT(Message(FetchStatus().status()), HasSubstr("another protocol"));
  });
}

TEST(CommandConversation, AStrangersEngineIsNotAsked) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) { AwaitEnd(connection); }, kStranger);
    const auto status = FetchStatus();
    EXPECT_TRUE(absl::IsPermissionDenied(status.status()));
    EXPECT_THAT(Message(status.status()), HasSubstr("user 65534"));
  });
}

TEST(CommandConversation, DownReturnsWhenTheEnginesProcessIsGone) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      if (TakeRequest(connection).verb != Verb::kDown) _exit(1);
      SendReply(connection, 0);
    });
    const absl::Status ended = EndEngine();
    EXPECT_TRUE(ended.ok()) << ended;
    // A zombie of ours by now.
    EXPECT_EQ(waitpid(engine.pid(), nullptr, WNOHANG), engine.pid());
  });
}

TEST(CommandConversation, CacheSaysWhatIsForgotten) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      if (TakeRequest(connection).verb != Verb::kForget) _exit(1);
      SendReply(connection, 0, "forgotten: 3 \x1b[31mdestinations");
    });
    const auto forgotten = Forget(control::Address());
    ASSERT_TRUE(forgotten.ok()) << forgotten.status();
    EXPECT_EQ(*forgotten, "forgotten: 3 ?[31mdestinations");
  });
}

TEST(CommandConversation, DownSaysWhyTheEngineRefuses) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      TakeRequest(connection);
      SendReply(connection, EPERM, "only root may; not \x1b[31myou");
    });
    EXPECT_THAT(Message(EndEngine()), HasSubstr("only root may; not ?[31myou"));
  });
}

TEST(CommandConversation, ARefusalWithoutReasonStillHasARemedy) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      TakeRequest(connection);
      SendReply(connection, EPERM);
    });
    EXPECT_THAT(Message(EndEngine()), HasSubstr("as root"));
  });
}

TEST(CommandConversation, DownDoesNotWaitForEver) {
  RUN_IN_FRESH_NAMESPACE([] {
    const FakeEngine engine([](int connection) {
      TakeRequest(connection);
      SendReply(connection, 0);
      pause();
    });
    const absl::Status ended = EndEngine(std::chrono::milliseconds(1));
    EXPECT_TRUE(absl::IsDeadlineExceeded(ended)) << ended;
  });
}

// An engine that writes until it is told to stop, and a last word after that.
void WriteDump(int connection) {
  int file = -1;
  if (TakeRequest(connection, &file).verb != Verb::kDump || file < 0) _exit(1);
  SendReply(connection, 0);
  if (write(file, "packets", 7) != 7) _exit(1);
  AwaitEnd(connection);
  if (write(file, " end", 4) != 4) _exit(1);
}

TEST(CommandConversation, DumpEndsByASignalWithAWholePrivateFile) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    const FakeEngine engine(WriteDump);
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
    pthread_kill(pthread_self(), SIGINT);  // is waiting when the dump begins
    EXPECT_EQ(Dump({.file = folder.File()}), kSuccess);
    EXPECT_EQ(ContentOf(folder.File()), "packets end");
    struct stat info;
    ASSERT_EQ(stat(folder.File().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
  });
}

TEST(CommandConversation, DumpEndsWhenItsTimeIsOver) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    std::ofstream(folder.File()) << "what was there before, and longer";
    const FakeEngine engine(WriteDump);
    EXPECT_EQ(Dump({.file = folder.File(), .seconds = 0.001}), kSuccess);
    EXPECT_EQ(ContentOf(folder.File()), "packets end");
  });
}

TEST(CommandConversation, DumpThatTheEngineEndsIsAFailureThatKeepsTheFile) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    const FakeEngine engine([](int connection) {
      int file = -1;
      TakeRequest(connection, &file);
      if (write(file, "half", 4) != 4) _exit(1);
      SendReply(connection, 0);
    });
    EXPECT_EQ(Dump({.file = folder.File()}), kFailure);
    EXPECT_EQ(ContentOf(folder.File()), "half");
  });
}

TEST(CommandConversation, DumpThatIsRefusedLeavesNoFile) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    const FakeEngine engine([](int connection) {
      TakeRequest(connection);
      SendReply(connection, EPERM, "root only");
    });
    EXPECT_EQ(Dump({.file = folder.File()}), kFailure);
    EXPECT_NE(access(folder.File().c_str(), F_OK), 0);
  });
}

TEST(CommandConversation, DumpWithoutEngineTouchesNoFile) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    std::ofstream(folder.File()) << "precious";
    EXPECT_EQ(Dump({.file = folder.File()}), kFailure);
    EXPECT_EQ(ContentOf(folder.File()), "precious");
  });
}

TEST(CommandDumpFile, OnlyRegularFilesAreWrittenTo) {
  const Folder folder;
  bool created = false;
  ASSERT_EQ(mkfifo(folder.File().c_str(), 0600), 0);
  for (const std::string& path :
       {std::string("-"), folder.File(), std::string("/dev/null"), std::string("/tmp")}) {
    const auto file = OpenDumpFile(path, &created);
    EXPECT_THAT(Message(file.status()), HasSubstr("no regular file")) << path;
  }
  // A pipe that has a reader opens, and is refused all the same.
  const int reader = open(folder.File().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_THAT(Message(OpenDumpFile(folder.File(), &created).status()),
              HasSubstr("no regular file"));
  close(reader);
}

TEST(CommandDumpFile, AFolderThatDoesNotExistIsNamed) {
  bool created = false;
  EXPECT_THAT(Message(OpenDumpFile("/nonexistent/x", &created).status()),
              HasSubstr("cannot write to /nonexistent/x: No such file"));
}

}  // namespace
}  // namespace mptcptls::command
