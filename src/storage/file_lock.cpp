#include "hdap/storage/file_lock.hpp"

#include "hdap/core/error.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace hdap::storage {

std::optional<FileLock> FileLock::try_acquire(const std::filesystem::path& path) {
    const auto fail = [&](const char* what) {
        throw core::DataError(std::string("cannot ") + what + " " + path.string() + ": " +
                              std::strerror(errno));
    };
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) fail("make");
    FileLock lock(descriptor);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK) fail("lock");
    return std::nullopt;
}

std::optional<FileLock> FileLock::acquire(const std::filesystem::path& path,
                                          const std::function<bool()>& give_up) {
    for (;;) {
        if (auto lock = try_acquire(path)) return lock;
        if (give_up && give_up()) return std::nullopt;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

} // namespace hdap::storage
