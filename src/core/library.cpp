#include "hdap/core/library.hpp"

#include "hdap/core/error.hpp"

#include <fmt/format.h>

#include <dlfcn.h>
#include <string>

namespace hdap::core {
namespace {

[[noreturn]] void report(const std::string& file, std::string_view remedy) {
    const char* const reason = dlerror();
    throw InternalError(fmt::format("cannot load {}: {}; {}", file,
                                    reason == nullptr ? "unknown reason" : reason, remedy));
}

} // namespace

void* library_symbol(std::string_view name, const char* symbol, std::string_view remedy) {
    const std::string file = fmt::format("libhdap_{}.so", name);
    void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) report(file, remedy);
    void* const address = dlsym(library, symbol);
    if (address == nullptr) report(file, remedy);
    return address;
}

} // namespace hdap::core
