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
