#include "hdap/core/provenance.hpp"

#include "hdap/core/version.hpp"

#include <array>
#include <ctime>
#include <unistd.h>

namespace hdap::core {

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm calendar{};
    gmtime_r(&now, &calendar);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &calendar);
    return text.data();
}

Provenance current_provenance() {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    return {.software = "hdap",
            .software_version = std::string(version),
            .git_commit = std::string(git_commit),
            .created = utc_now(),
            .host = host.data()};
}

} // namespace hdap::core
