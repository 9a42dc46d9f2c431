// A library for LD_PRELOAD: writes to temporary files take long, so that a kill can hit the middle
// of a checkpoint's write. Delays are injected here and not in the program, which knows nothing of
// them.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

constexpr useconds_t delay_us = 10'000;
constexpr std::size_t parts = 8;

bool is_temporary(int descriptor) {
    std::array<char, 64> link{};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", descriptor);
    std::array<char, 4096> path{};
    return ::readlink(link.data(), path.data(), path.size() - 1) > 0 &&
           std::strstr(path.data(), ".tmp.") != nullptr;
}

template <class Function>
Function original(const char* name) {
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

ssize_t write(int descriptor, const void* bytes, std::size_t count) {
    static const auto real = original<ssize_t (*)(int, const void*, std::size_t)>("write");
    if (!is_temporary(descriptor)) return real(descriptor, bytes, count);
    ::usleep(delay_us);
    return real(descriptor, bytes, std::max<std::size_t>(1, count / parts));
}

int fsync(int descriptor) {
    static const auto real = original<int (*)(int)>("fsync");
    if (is_temporary(descriptor)) ::usleep(delay_us);
    return real(descriptor);
}

int rename(const char* from, const char* to) {
    static const auto real = original<int (*)(const char*, const char*)>("rename");
    if (std::strstr(from, ".tmp.") != nullptr) ::usleep(delay_us);
    return real(from, to);
}

} // extern "C"
