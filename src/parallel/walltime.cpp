#include "hdap/parallel/walltime.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace hdap::parallel {
namespace {

using Seconds = std::chrono::duration<double>;
using namespace std::chrono_literals;

constexpr double most_seconds = 10.0 * 365.0 * 86'400.0;

/// A plain decimal number that is all of `text`.
std::optional<double> number(std::string_view text) {
    double value = 0.0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (text.empty() || text.front() == '-' || error != std::errc() ||
        end != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::optional<Seconds> checked(double seconds) {
    if (!(seconds > 0.0 && seconds <= most_seconds)) return std::nullopt;
    return Seconds(seconds);
}

/// "90s", "1.5h": a number with a unit.
std::optional<Seconds> with_unit(std::string_view text) {
    constexpr std::string_view units = "smhd";
    constexpr std::array<double, 4> seconds{1.0, 60.0, 3600.0, 86'400.0};
    const std::size_t unit = text.empty() ? std::string_view::npos : units.find(text.back());
    if (unit == std::string_view::npos) return std::nullopt;
    const auto value = number(text.substr(0, text.size() - 1));
    return value ? checked(*value * seconds[unit]) : std::nullopt;
}

/// The parts of "1:30:00"; empty when one of them is no number.
std::vector<double> parts_of(std::string_view text) {
    std::vector<double> parts;
    for (;;) {
        const std::size_t colon = text.find(':');
        const auto value = number(text.substr(0, colon));
        if (!value) return {};
        parts.push_back(*value);
        if (colon == std::string_view::npos) return parts;
        text.remove_prefix(colon + 1);
    }
}

/// What follows the days begins with hours; without days, two parts are minutes and seconds, and
/// one is minutes.
std::optional<Seconds> in_slurms_form(std::string_view text) {
    const std::size_t dash = text.find('-');
    const bool with_days = dash != std::string_view::npos;
    const auto days = with_days ? number(text.substr(0, dash)) : std::optional(0.0);
    auto parts = parts_of(with_days ? text.substr(dash + 1) : text);
    if (!days || parts.empty() || parts.size() > 3) return std::nullopt;
    if (!with_days && parts.size() < 3) parts.insert(parts.begin(), 0.0);
    parts.resize(3, 0.0);
    return checked(*days * 86'400.0 + parts[0] * 3600.0 + parts[1] * 60.0 + parts[2]);
}

struct ClosePipe {
    void operator()(std::FILE* pipe) const { ::pclose(pipe); }
};

/// The first line that a shell command prints; empty when it prints none.
std::string first_line_of(const std::string& command) {
    const std::unique_ptr<std::FILE, ClosePipe> pipe(::popen(command.c_str(), "r"));
    std::array<char, 256> line{};
    if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return "";
    std::string text(line.data());
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    return text;
}

} // namespace

Walltime::Walltime(Clock::time_point start, Seconds limit)
    : end_(start + std::chrono::duration_cast<Clock::duration>(limit)), limit_(limit) {}

void Walltime::saw_evaluation(Seconds time) {
    longest_evaluation_ = std::max(longest_evaluation_, time);
}

void Walltime::saw_checkpoint(Seconds time) {
    longest_checkpoint_ = std::max(longest_checkpoint_, time);
}

Seconds Walltime::reserve() const {
    const Seconds unmeasured = std::clamp<Seconds>(0.02 * limit_, 1s, 60s);
    return 2.0 * longest_evaluation_ + 3.0 * longest_checkpoint_ + unmeasured;
}

bool Walltime::is_near(Clock::time_point now) const {
    return end_ && now + std::chrono::duration_cast<Clock::duration>(reserve()) >= *end_;
}

std::optional<Seconds> Walltime::limit() const {
    return end_ ? std::optional(limit_) : std::nullopt;
}

Walltime::Clock::time_point process_start() {
    const auto now = Walltime::Clock::now();
    std::ifstream file("/proc/self/stat");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    // The program's name, in brackets, may hold anything; the 20th field after it is the start in
    // clock ticks since the machine was booted.
    text.erase(0, text.rfind(')') + 1);
    std::istringstream fields(text);
    std::string skipped;
    for (int i = 0; i < 19; ++i)
        fields >> skipped;
    double ticks = 0.0;
    timespec since_boot{};
    if (!(fields >> ticks) || clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) return now;
    const double age_s = static_cast<double>(since_boot.tv_sec) +
                         1e-9 * double(since_boot.tv_nsec) -
                         ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
    return now -
           std::chrono::duration_cast<Walltime::Clock::duration>(Seconds(std::max(0.0, age_s)));
}

std::optional<Seconds> parse_duration(const std::string& text) {
    const auto duration = with_unit(text);
    return duration ? duration : in_slurms_form(text);
}

std::optional<Seconds> slurm_time_left() {
    const char* job = std::getenv("SLURM_JOB_ID");
    if (job == nullptr) return std::nullopt;
    if (const char* end = std::getenv("SLURM_JOB_END_TIME")) {
        const Seconds now = std::chrono::system_clock::now().time_since_epoch();
        if (const auto time = number(end)) return checked(*time - now.count());
    }
    // The id becomes part of a command: nothing but digits may pass.
    const std::string_view id(job);
    if (id.empty() || id.find_first_not_of("0123456789") != std::string_view::npos)
        return std::nullopt;
    return in_slurms_form(first_line_of(
        fmt::format("timeout 30 squeue --noheader --jobs={} --format=%L 2>/dev/null", id)));
}

} // namespace hdap::parallel
