#include "storage/no_locks.hpp"

#include <cerrno>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

int refused_with = 0;

} // namespace

extern "C" int flock(int file, int operation) noexcept {
    if (refused_with == 0) return static_cast<int>(::syscall(SYS_flock, file, operation));
    errno = refused_with;
    return -1;
}

namespace hdap::test {

NoLocks::NoLocks(int error) {
    refused_with = error;
}
NoLocks::~NoLocks() {
    refused_with = 0;
}

} // namespace hdap::test
