#ifndef HDAP_AUDIT
#define HDAP_AUDIT // also where the build has its checks off
#endif
#include "hdap/core/check.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <csignal>
#include <functional>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

/// What a process that does `work` writes to stderr before SIGABRT ends it.
std::string words_before_abort(const std::function<void()>& work) {
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        std::signal(SIGABRT, SIG_DFL); // Catch reports it as a failure of the test
        ::dup2(pipe[1], STDERR_FILENO);
        work();
        ::_exit(0);
    }
    ::close(pipe[1]);
    std::string words;
    std::array<char, 256> buffer{};
    for (ssize_t count = 0; (count = ::read(pipe[0], buffer.data(), buffer.size())) > 0;)
        words.append(buffer.data(), static_cast<std::size_t>(count));
    ::close(pipe[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
    return words;
}

} // namespace

TEST_CASE("a check that fails says what, where and with which values, and aborts") {
    const std::string words = words_before_abort([] {
        ::setenv("OMPI_COMM_WORLD_RANK", "3", 1);
        const int row = 4;
        const double share = 0.5;
        HDAP_CHECK(row < 3, row, share, "a text");
    });
    CHECK_THAT(
        words,
        Catch::StartsWith(
            "hdap: check failed on rank 3: row < 3; row, share, \"a text\" = 4, 0.5, a text ("));
    CHECK_THAT(words, Catch::Contains("tests/core/check.cpp:"));
    CHECK_THAT(words, Catch::EndsWith(")\n"));
}

TEST_CASE("a check without values outside MPI names neither") {
    const std::string words = words_before_abort([] {
        for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"})
            ::unsetenv(name);
        HDAP_CHECK(1 + 1 == 3);
    });
    CHECK_THAT(words, Catch::StartsWith("hdap: check failed: 1 + 1 == 3 ("));
}

TEST_CASE("a check that holds evaluates its expression once and its values never") {
    int expressions = 0;
    int values = 0;
    HDAP_CHECK(++expressions == 1, ++values);
    CHECK(expressions == 1);
    CHECK(values == 0);
}
