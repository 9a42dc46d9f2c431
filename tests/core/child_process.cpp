#include "hdap/core/child_process.hpp"

#include "hdap/core/descriptor.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <thread>

using namespace hdap;
using core::ChildOptions;
using core::ChildProcess;

namespace {

/// A file that a program writes to.
struct Log {
    test::TemporaryFolder folder;
    core::Descriptor file{::open((folder / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)};

    [[nodiscard]] ChildProcess run(const std::string& script, ChildOptions options = {}) const {
        options.output = file.number();
        options.errors = file.number();
        return {{"/bin/sh", "-c", script}, options};
    }
    [[nodiscard]] std::string text() const {
        std::ifstream stream(folder / "log");
        return {std::istreambuf_iterator<char>(stream), {}};
    }
};

template <class Condition>
void wait_until(const Condition& condition) {
    const auto start = std::chrono::steady_clock::now();
    while (!condition()) {
        REQUIRE(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

int exit_code_of(ChildProcess process) {
    wait_until([&] { return process.try_wait().has_value(); });
    return *process.try_wait();
}

/// Killed, a process is gone, or a zombie until init looks.
bool is_running(const std::string& id) {
    std::string number;
    std::string name;
    std::string state;
    std::ifstream("/proc/" + id + "/stat") >> number >> name >> state;
    return !state.empty() && state != "Z" && state != "X";
}

} // namespace

TEST_CASE("a program that is not there ends with 127 and says so") {
    const Log log;
    CHECK(exit_code_of({{"no-such-program-of-hdap"},
                        {.output = log.file.number(), .errors = log.file.number()}}) == 127);
    CHECK(log.text() == "hdap: error: cannot start the program\n");
}

TEST_CASE("a child has a group of its own and no input, and its exit code stays") {
    const Log log;
    ChildProcess process =
        log.run("[ $(ps -o pgid= -p $$) = $$ ] && echo alone; cat; echo e >&2; exit 5");
    CHECK(exit_code_of(std::move(process)) == 5);
    CHECK(log.text() == "alone\ne\n");
    CHECK(exit_code_of(log.run("kill -SEGV $$")) == 128 + 11);
}

TEST_CASE("a child gets the open file that it is to inherit, and no other") {
    const Log log;
    const core::Descriptor passed(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::string script = "[ -e /proc/self/fd/" + std::to_string(passed.number()) + " ]";
    CHECK(exit_code_of(log.run(script)) == 1);
    CHECK(exit_code_of(log.run(script, {.inherited = passed.number()})) == 0);
}

TEST_CASE("a signal that is ignored at first does not end a child, others do") {
    const auto ends_by = [](int number, const ChildOptions& options) {
        const Log log;
        ChildProcess process = log.run("echo started; sleep 600 & wait; exit 7", options);
        wait_until([&] { return !log.text().empty(); });
        process.signal(number);
        process.signal(SIGTERM);
        return exit_code_of(std::move(process));
    };
    CHECK(ends_by(SIGUSR1, {.ignored_signal = SIGUSR1}) == 128 + SIGTERM);
    CHECK(ends_by(SIGTERM, {}) == 128 + SIGTERM);
}

TEST_CASE("a child dies with its object, and its group where that is owned") {
    for (const bool owns_group : {true, false}) {
        const Log log;
        std::string program;
        std::string other;
        {
            const ChildProcess process =
                log.run("sleep 600 & echo $$ $!; wait", {.owns_group = owns_group});
            wait_until([&] { return log.text().ends_with("\n"); });
            std::ifstream(log.folder / "log") >> program >> other;
            CHECK(is_running(program));
        }
        CHECK_FALSE(is_running(program));
        if (owns_group)
            wait_until([&] { return !is_running(other); });
        else
            CHECK(is_running(other));
        ::kill(std::stoi(other), SIGKILL);
    }
}

TEST_CASE("a child gets its signal when its parent is killed") {
    const Log log;
    const std::filesystem::path ended = log.folder / "ended";
    const pid_t parent = ::fork();
    if (parent == 0) {
        const ChildProcess process =
            log.run("trap 'touch " + ended.string() + "; exit' TERM; echo ready; sleep 600 & wait",
                    {.death_signal = SIGTERM});
        wait_until([&] { return !log.text().empty(); });
        ::raise(SIGKILL);
    }
    int status = 0;
    ::waitpid(parent, &status, 0);
    wait_until([&] { return std::filesystem::exists(ended); });
}
