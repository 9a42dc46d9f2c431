#include "hdap/storage/run_lock.hpp"

#include "hdap/core/error.hpp"
#include "storage/no_locks.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

using namespace hdap;
using storage::RunLock;

TEST_CASE("a folder that is not there cannot be locked") {
    CHECK_THROWS_AS(RunLock("/no/such/folder"), core::DataError);
}

TEST_CASE("a second owner is refused and told who the first is") {
    const test::TemporaryFolder folder;
    std::optional<RunLock> first(std::in_place, folder.path());
    CHECK(first->stale_owner().empty());
    CHECK_THROWS_WITH(RunLock(folder.path()),
                      Catch::Contains("in use by another job (host ") &&
                          Catch::Contains("process " + std::to_string(::getpid())));
    first.reset();
    CHECK_NOTHROW(RunLock(folder.path()));
    CHECK_FALSE(std::filesystem::exists(folder / "run.lock"));
}

TEST_CASE("the lock of a killed process is recognised as stale and taken over") {
    const test::TemporaryFolder folder;
    const pid_t child = ::fork();
    if (child == 0) {
        const RunLock lock(folder.path());
        ::raise(SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    const RunLock lock(folder.path());
    CHECK_THAT(lock.stale_owner(), Catch::Contains("process " + std::to_string(child)));
}

TEST_CASE("without the file system's locks a second owner is told what to remove, and a killed one "
          "is taken over") {
    const test::NoLocks no_locks(ENOLCK);
    const test::TemporaryFolder folder;
    {
        const RunLock first(folder.path());
        CHECK_FALSE(first.weakness().empty());
        CHECK_THROWS_WITH(RunLock(folder.path()),
                          Catch::Contains("in use by another job (host ") &&
                              Catch::Contains("remove " + (folder / "run.lock.owner").string()));
    }
    CHECK(std::filesystem::is_empty(folder.path()));
    const pid_t child = ::fork();
    if (child == 0) {
        const RunLock lock(folder.path());
        ::raise(SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    const RunLock lock(folder.path());
    CHECK_THAT(lock.stale_owner(), Catch::Contains("process " + std::to_string(child)));
}
