#include "hdap/storage/file_lock.hpp"

#include "hdap/core/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace hdap::storage {

FileLock::FileLock(const std::filesystem::path& path, std::chrono::milliseconds patience)
    : path_(path.string() + ".lock") {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!try_lock()) {
        if (std::chrono::steady_clock::now() >= deadline)
            throw core::UsageError("another job has been holding " + path_.string() +
                                   " all the time; wait for it, or stop it, and try again");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

bool FileLock::try_lock() {
    const auto fail = [this](const char* what) {
        const std::string why = std::strerror(errno);
        if (descriptor_ >= 0) ::close(descriptor_);
        throw core::DataError(std::string("cannot ") + what + " " + path_.string() + ": " + why);
    };
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail("make");
    bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno != EWOULDBLOCK) fail("lock");
    // Its last owner may have removed the file between our opening and our locking.
    struct stat opened {};
    struct stat named {};
    locked = locked && ::fstat(descriptor_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 &&
             opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
    if (!locked) ::close(descriptor_);
    return locked;
}

FileLock::~FileLock() {
    ::unlink(path_.c_str());
    ::close(descriptor_);
}

} // namespace hdap::storage
