#include "hdap/storage/run_lock.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/provenance.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hdap::storage {
namespace {

std::string this_owner() {
    const core::Provenance provenance = core::current_provenance();
    std::string owner = "host " + provenance.host + ", process " + std::to_string(::getpid());
    if (const char* job = std::getenv("SLURM_JOB_ID")) owner += ", Slurm job " + std::string(job);
    return owner + ", since " + provenance.created;
}

std::string read_owner(int descriptor) {
    std::array<char, 512> text{};
    const ssize_t count = ::pread(descriptor, text.data(), text.size() - 1, 0);
    std::string owner(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    while (!owner.empty() && owner.back() == '\n')
        owner.pop_back();
    return owner;
}

/// Throws the present errno's error: a full disk is not the user's data's fault.
[[noreturn]] void fail(const std::string& what) {
    const std::string message = what + ": " + std::strerror(errno);
    if (errno == ENOSPC || errno == EDQUOT) throw core::InternalError(message);
    throw core::DataError(message);
}

/// Whether `descriptor` still is the file at `path`: its last owner may have removed it between
/// our opening and our locking.
bool is_current(int descriptor, const std::filesystem::path& path) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

} // namespace

RunLock::RunLock(const std::filesystem::path& run_directory) : path_(run_directory / "run.lock") {
    for (;;) {
        descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (descriptor_ < 0) fail("cannot make " + path_.string());
        if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
            const std::string why = std::strerror(errno);
            const bool held = errno == EWOULDBLOCK;
            const std::string owner = read_owner(descriptor_);
            ::close(descriptor_);
            if (!held)
                throw core::DataError("cannot lock " + path_.string() + ": " + why +
                                      "; put the run directory on a file system with locks");
            throw core::UsageError(run_directory.string() + " is in use by another job (" + owner +
                                   "); wait for it, stop it, or choose another --out");
        }
        if (is_current(descriptor_, path_)) break;
        ::close(descriptor_);
    }
    stale_owner_ = read_owner(descriptor_);
    const std::string owner = this_owner() + "\n";
    if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, owner.data(), owner.size(), 0) !=
                                                static_cast<ssize_t>(owner.size())) {
        const int why = errno;
        ::unlink(path_.c_str());
        ::close(descriptor_);
        errno = why;
        fail("cannot write " + path_.string());
    }
}

RunLock::RunLock(RunLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)),
      stale_owner_(std::move(other.stale_owner_)) {}

RunLock::~RunLock() {
    if (descriptor_ < 0) return;
    ::unlink(path_.c_str());
    ::close(descriptor_);
}

} // namespace hdap::storage
