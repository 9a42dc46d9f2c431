#include "hdap/core/provenance.hpp"

#include "hdap/core/version.hpp"

#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <unistd.h>

namespace hdap::core {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

} // namespace

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos)
            return line.substr(colon + 2);
    }
    return "";
}

std::string slurm_job() {
    std::string job = environment("SLURM_ARRAY_JOB_ID");
    job =
        job.empty() ? environment("SLURM_JOB_ID") : job + "_" + environment("SLURM_ARRAY_TASK_ID");
    const std::string restarts = environment("SLURM_RESTART_COUNT");
    return job.empty() || restarts.empty() || restarts == "0" ? job : job + "." + restarts;
}

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
    const std::string nodes = environment("SLURM_JOB_NODELIST");
    return {.software = "hdap",
            .software_version = std::string(version),
            .git_commit = std::string(git_commit),
            .created = utc_now(),
            .host = host.data(),
            .job = slurm_job(),
            .nodes = nodes.empty() ? host.data() : nodes,
            .libraries = std::string(libraries)};
}

} // namespace hdap::core
