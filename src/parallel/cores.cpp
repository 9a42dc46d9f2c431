#include "cores.hpp"

#include "environment_int.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sched.h>
#include <sstream>
#include <string>
#include <string_view>
#include <unistd.h>

namespace hdap::parallel {
namespace {

std::vector<int> cores_of(pid_t process) {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cores;
    if (sched_getaffinity(process, sizeof set, &set) != 0) return cores;
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &set)) cores.push_back(core);
    return cores;
}

struct ProcessName {
    std::string name;
    pid_t parent = 0;
};

/// From /proc/PID/stat: "PID (name) state parent …", where the name may hold anything.
std::optional<ProcessName> read_name(pid_t process) {
    std::ifstream file("/proc/" + std::to_string(process) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::size_t begin = text.find('(');
    const std::size_t end = text.rfind(')');
    if (begin == std::string::npos || end == std::string::npos) return std::nullopt;
    ProcessName result{.name = text.substr(begin + 1, end - begin - 1)};
    std::istringstream fields(text.substr(end + 1));
    std::string state;
    if (!(fields >> state >> result.parent)) return std::nullopt;
    return result;
}

/// The process above this one that starts ranks, as mpirun or its daemon of this node; scripts may
/// lie between. Nothing when there is none.
std::optional<pid_t> launcher() {
    constexpr std::array<std::string_view, 5> names{"mpirun", "mpiexec", "orte", "prte", "hydra"};
    for (pid_t process = ::getppid(); process > 1;) {
        const auto found = read_name(process);
        if (!found) return std::nullopt;
        for (const std::string_view name : names)
            if (found->name.starts_with(name)) return process;
        process = found->parent;
    }
    return std::nullopt;
}

/// Of the first processor, for all of them.
int threads_per_core() {
    std::ifstream file(
        "/sys/devices/system/cpu/cpu0/topology/thread_siblings"); // "00000000,00000003"
    int threads = 0;
    for (char digit = 0; file.get(digit);)
        if (std::isxdigit(static_cast<unsigned char>(digit)) != 0)
            threads += std::popcount(
                static_cast<unsigned>(std::stoul(std::string(1, digit), nullptr, 16)));
    return std::max(threads, 1);
}

} // namespace

std::vector<int> bound_cores() {
    return cores_of(0);
}

int cores_for_job(const std::vector<int>& bound, int ranks) {
    int processors = static_cast<int>(bound.size());
    if (std::getenv("SLURM_JOB_ID") != nullptr) {
        processors = std::max({processors, environment_int("SLURM_CPUS_ON_NODE").value_or(0),
                               ranks * environment_int("SLURM_CPUS_PER_TASK").value_or(0)});
    } else if (const auto process = launcher()) {
        processors = std::max(processors, static_cast<int>(cores_of(*process).size()));
    }
    return std::max(1, processors / threads_per_core());
}

} // namespace hdap::parallel
