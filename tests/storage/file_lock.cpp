#include "hdap/storage/file_lock.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

using namespace hdap;
using namespace std::chrono_literals;

TEST_CASE("A file lock keeps others out and leaves nothing behind", "[file_lock]") {
    const test::TemporaryFolder folder;
    const auto file = folder / "fleet.h5";
    {
        const storage::FileLock lock(file);
        CHECK_THROWS_AS(storage::FileLock(file, 30ms), core::UsageError);
        CHECK_NOTHROW(storage::FileLock(folder / "other.h5", 0ms));
    }
    CHECK_NOTHROW(storage::FileLock(file, 0ms));
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("Whoever waits for a file lock gets it, one after the other", "[file_lock]") {
    const test::TemporaryFolder folder;
    const auto counter = folder / "counter";
    std::ofstream(counter) << 0;
    std::vector<std::thread> writers;
    std::atomic<bool> alone = true;
    std::atomic<int> inside = 0;
    for (int i = 0; i < 8; ++i)
        writers.emplace_back([&] {
            const storage::FileLock lock(counter);
            if (++inside > 1) alone = false;
            int value = 0;
            std::ifstream(counter) >> value;
            std::ofstream(counter) << value + 1;
            --inside;
        });
    for (std::thread& writer : writers)
        writer.join();
    int value = 0;
    std::ifstream(counter) >> value;
    CHECK(value == 8);
    CHECK(alone);
}

TEST_CASE("A file lock in a folder that is not there is refused", "[file_lock]") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_AS(storage::FileLock(folder / "none" / "fleet.h5"), core::DataError);
}
