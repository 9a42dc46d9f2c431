#include "hdap/storage/file_lock.hpp"

#include "hdap/core/error.hpp"
#include "storage/no_locks.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace hdap;
using storage::FileLock;

TEST_CASE("a lock in a folder that is not there is a DataError") {
    CHECK_THROWS_AS(FileLock::try_acquire("/nonexistent/x.lock"), core::DataError);
}

TEST_CASE("one lock at a time, and the next one when it is gone") {
    const test::TemporaryFolder folder;
    {
        const auto first = FileLock::try_acquire(folder / "x.lock");
        REQUIRE(first);
        CHECK_FALSE(FileLock::try_acquire(folder / "x.lock"));
        CHECK(FileLock::try_acquire(folder / "y.lock"));
    }
    CHECK(FileLock::try_acquire(folder / "x.lock"));
}

TEST_CASE("who waits for a lock can give up, or gets it when its owner lets go") {
    const test::TemporaryFolder folder;
    auto owner = FileLock::try_acquire(folder / "x.lock");
    int asked = 0;
    CHECK_FALSE(FileLock::acquire(folder / "x.lock", [&] { return ++asked == 2; }));
    CHECK(asked == 2);
    CHECK(FileLock::acquire(folder / "x.lock", [&] {
        owner.reset();
        return false;
    }));
}

TEST_CASE("several hold a shared lock, but none beside an exclusive one") {
    const test::TemporaryFolder folder;
    const auto path = folder / "x.lock";
    {
        const auto exclusive = FileLock::try_acquire(path);
        CHECK_FALSE(FileLock::try_acquire_shared(path));
    }
    const auto first = FileLock::try_acquire_shared(path);
    const auto second = FileLock::try_acquire_shared(path);
    CHECK(first);
    CHECK(second);
    CHECK_FALSE(FileLock::try_acquire(path));
}

TEST_CASE("of a file that is not there nobody has a lock, and none is made") {
    const test::TemporaryFolder folder;
    const auto lock = FileLock::try_acquire_shared(folder / "x.lock");
    REQUIRE(lock);
    CHECK_FALSE(lock->file().is_open());
    CHECK_FALSE(std::filesystem::exists(folder / "x.lock"));
}

TEST_CASE("a lock that is moved is held once, and an assignment lets the old one go") {
    const test::TemporaryFolder folder;
    auto x = FileLock::try_acquire(folder / "x.lock");
    auto y = FileLock::try_acquire(folder / "y.lock");
    FileLock moved(std::move(*x));
    x.reset();
    CHECK_FALSE(FileLock::try_acquire(folder / "x.lock"));
    moved = std::move(*y);
    y.reset();
    CHECK(FileLock::try_acquire(folder / "x.lock"));
    CHECK_FALSE(FileLock::try_acquire(folder / "y.lock"));
}

TEST_CASE("a lock that the file system refuses is a file beside it, and says so") {
    for (const int error : {ENOSYS, ENOLCK, EOPNOTSUPP}) {
        const test::NoLocks no_locks(error);
        const test::TemporaryFolder folder;
        const auto path = folder / "x.lock";
        {
            const auto first = FileLock::try_acquire(path);
            REQUIRE(first);
            CHECK_THAT(first->weakness(),
                       Catch::Contains("has no locks") && Catch::Contains("x.lock.owner"));
            CHECK(std::filesystem::exists(folder / "x.lock.owner"));
            CHECK_FALSE(FileLock::try_acquire(path));
            CHECK_FALSE(FileLock::try_acquire_shared(path));
            CHECK_THAT(FileLock::unlocked_owner(path), Catch::Contains("x.lock.owner"));
        }
        CHECK_FALSE(std::filesystem::exists(folder / "x.lock.owner"));
        CHECK(FileLock::try_acquire_shared(path));
        CHECK(FileLock::unlocked_owner(path).empty());
    }
    const test::TemporaryFolder folder;
    CHECK(FileLock::try_acquire(folder / "x.lock")->weakness().empty());
    const test::NoLocks broken(EIO);
    CHECK_THROWS_AS(FileLock::try_acquire(folder / "x.lock"), core::DataError);
}

TEST_CASE("without the file system's locks one waits for a live owner, and not for a killed one") {
    const test::NoLocks no_locks(ENOSYS);
    const test::TemporaryFolder folder;
    const auto path = folder / "x.lock";
    auto owner = FileLock::try_acquire(path);
    CHECK(FileLock::acquire(path, [&] {
        owner.reset();
        return false;
    }));
    const pid_t child = ::fork();
    if (child == 0) {
        const auto lock = FileLock::try_acquire(path);
        ::raise(lock ? SIGKILL : SIGTERM);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WTERMSIG(status) == SIGKILL);
    CHECK(std::filesystem::exists(folder / "x.lock.owner"));
    CHECK(FileLock::acquire(path, [] { return true; }));
}
