#include "openmp_binding.hpp"

#include <unistd.h>

// Of the program and no library: what has a .preinit_array may not be a shared one.

// Sanitizers are not ready before the libraries.
#define HDAP_BEFORE_LIBRARIES __attribute__((no_sanitize("address", "undefined")))

namespace hdap {
namespace {

struct Variable {
    char first;       ///< letter of the name
    char hidden;      ///< what stands there while the variable is hidden
    const char* rest; ///< of the name, with what follows it
};
constexpr Variable variables[] = {
    {'O', 'o', "MP_PROC_BIND="}, {'O', 'o', "MP_PLACES="}, {'G', 'g', "OMP_CPU_AFFINITY="}};

/// Whether `text` begins with `beginning`; the C library's own functions may not be there yet.
HDAP_BEFORE_LIBRARIES bool begins_with(const char* text, const char* beginning) {
    while (*beginning != '\0' && *text == *beginning) {
        ++text;
        ++beginning;
    }
    return *beginning == '\0';
}

HDAP_BEFORE_LIBRARIES void rename_all(char** environment, char Variable::*from,
                                      char Variable::*to) {
    for (char** entry = environment; *entry != nullptr; ++entry)
        for (const Variable& variable : variables)
            if (**entry == variable.*from && begins_with(*entry + 1, variable.rest))
                **entry = variable.*to;
}

HDAP_BEFORE_LIBRARIES void hide(int /*arguments*/, char** /*values*/, char** environment) {
    rename_all(environment, &Variable::first, &Variable::hidden);
}

using BeforeLibraries = void (*)(int, char**, char**);
[[gnu::section(".preinit_array"), gnu::used]] const BeforeLibraries hide_before_libraries = hide;

} // namespace

void show_openmp_binding() {
    rename_all(::environ, &Variable::hidden, &Variable::first);
}

} // namespace hdap
