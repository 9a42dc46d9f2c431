#include "hdap/fleet/host_conditions.hpp"

#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/measurement.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sched.h>
#include <sstream>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace hdap::fleet {
namespace {

namespace fs = std::filesystem;

constexpr double noticeable_cores = 0.1;

/// Text of the system's, made fit for a file and a terminal.
std::string cleaned(std::string text) {
    constexpr std::size_t longest = 256;
    std::erase_if(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
    const auto begin = std::min(text.find_first_not_of(' '), text.size());
    return text.substr(begin, longest);
}

std::string first_line(const fs::path& file) {
    std::string line;
    std::ifstream stream(file);
    std::getline(stream, line);
    return cleaned(line);
}

double first_number(const fs::path& file) {
    double value = HostConditions::unknown;
    std::ifstream stream(file);
    return stream >> value ? value : HostConditions::unknown;
}

/// What stands behind "key :" in /proc/cpuinfo; empty when there is no such line.
std::string cpuinfo(const fs::path& root, const std::string& key) {
    std::ifstream stream(root / "proc/cpuinfo");
    for (std::string line; std::getline(stream, line);) {
        const auto colon = line.find(':');
        if (line.starts_with(key) && colon != std::string::npos)
            return cleaned(line.substr(colon + 1));
    }
    return {};
}

double frequency_mhz(const fs::path& root) {
    const double khz = first_number(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq");
    if (khz > 0.0) return khz / 1000.0;
    double mhz = HostConditions::unknown;
    return std::istringstream(cpuinfo(root, "cpu MHz")) >> mhz ? mhz : HostConditions::unknown;
}

double temperature_c(const fs::path& root) {
    double hottest = HostConditions::unknown;
    std::error_code ignored;
    for (const auto& zone : fs::directory_iterator(root / "sys/class/thermal", ignored)) {
        if (!zone.path().filename().string().starts_with("thermal_zone")) continue;
        const double value = first_number(zone.path() / "temp") / 1000.0;
        if (!(value <= hottest) && value > -100.0 && value < 200.0) hottest = value;
    }
    return hottest;
}

std::string processor(const fs::path& root) {
    std::string name = cpuinfo(root, "model name");
    // ARM's processors have no name there, but their boards do.
    return name.empty() ? first_line(root / "proc/device-tree/model") : name;
}

std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string() : cleaned(value);
}

std::int32_t usable_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

} // namespace

ConditionWatch::ConditionWatch(fs::path root) : root_(std::move(root)) {
    const core::Provenance provenance = core::current_provenance();
    start_.host = cleaned(provenance.host);
    start_.slurm_node = environment("SLURMD_NODENAME");
    start_.measured_at = provenance.created;
    start_.processor = processor(root_);
    start_.governor = first_line(root_ / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    start_.isa_limit = environment("ONEDNN_MAX_CPU_ISA");
    if (start_.isa_limit.empty()) start_.isa_limit = environment("DNNL_MAX_CPU_ISA");
    start_.cores = usable_cores();
    start_.frequency_mhz_start = frequency_mhz(root_);
    start_.temperature_c_start = temperature_c(root_);
    start_.load_average_start = first_number(root_ / "proc/loadavg");
    start_times_ = times();
}

HostConditions ConditionWatch::conditions() const {
    HostConditions now = start_;
    now.frequency_mhz_end = frequency_mhz(root_);
    now.temperature_c_end = temperature_c(root_);
    now.load_average_end = first_number(root_ / "proc/loadavg");
    const Times end = times();
    const double elapsed = end.clock - start_times_.clock;
    const double others = (end.everybody - start_times_.everybody) - (end.own - start_times_.own);
    // The kernel counts in hundredths of a second: less than that is not known.
    if (elapsed > 0.05) now.cores_used_by_others = std::max(0.0, others / elapsed);
    return now;
}

ConditionWatch::Times ConditionWatch::times() const {
    Times result{.everybody = HostConditions::unknown, .own = 0.0, .clock = 1e-3 * monotonic_ms()};
    // cpu user nice system idle iowait irq softirq steal …; guests count as user time already.
    std::ifstream stream(root_ / "proc/stat");
    std::string label;
    double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
    if (stream >> label >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal)
        result.everybody = (user + nice + system + irq + softirq + steal) /
                           static_cast<double>(::sysconf(_SC_CLK_TCK));
    rusage usage{};
    if (::getrusage(RUSAGE_SELF, &usage) == 0)
        result.own = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    return result;
}

std::vector<std::string> device_of_each_rank(const parallel::Communicator& communicator,
                                             const HostConditions& here) {
    std::vector<std::string> names =
        communicator.gather_texts(here.slurm_node.empty() ? here.host : here.slurm_node);
    std::map<std::string, int> ranks_of_node;
    for (const std::string& name : names)
        ++ranks_of_node[name];
    std::map<std::string, int> named;
    for (std::string& name : names) {
        const std::string node = name;
        if (ranks_of_node[node] > 1) name += fmt::format("-{}", named[node]++);
    }
    return names;
}

std::string disturbance(const HostConditions& conditions) {
    if (!(conditions.cores_used_by_others > noticeable_cores)) return {};
    return fmt::format("other programs used {} cores of {} meanwhile",
                       core::significant(conditions.cores_used_by_others, 2), conditions.host);
}

} // namespace hdap::fleet
