#include "hdap/storage/file_lock.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

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
