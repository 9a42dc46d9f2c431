#include "fleet/telemetry/column_names.hpp"
#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace hdap::fleet {
namespace {

constexpr double coldest_c = -100.0; // a sensor that is off says -256
constexpr double hottest_c = 200.0;

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (true) {
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (line.empty()) return words;
        const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

/// The mean of what `f` finds in the parts of "[a,b,…]", or in "a".
template <class Find>
std::optional<double> mean_in_list(std::string_view list, Find find) {
    if (list.starts_with('[')) list.remove_prefix(1);
    list = list.substr(0, list.find(']'));
    double sum = 0.0;
    int count = 0;
    while (true) {
        const std::size_t end = list.find(',');
        if (const auto value = find(list.substr(0, end))) {
            sum += *value;
            ++count;
        }
        if (end == std::string_view::npos) break;
        list.remove_prefix(end + 1);
    }
    return count == 0 ? std::nullopt : std::optional(sum / count);
}

/// The clock of "[2%@102,off,…]", over the cores that are on, or of "[2%,off]@1479".
std::optional<double> cpu_clock(std::string_view cores) {
    if (const auto all = number_behind(cores, "]@")) return all;
    if (!cores.ends_with(']')) return std::nullopt;
    return mean_in_list(cores, [](std::string_view core) { return number_behind(core, "@"); });
}

/// The clock of "99%@1300", or, over its clusters, of "99%@[1098,1098]".
std::optional<double> clock_behind_load(std::string_view word) {
    const auto clocks = text_behind(word, "@");
    return clocks ? mean_in_list(*clocks, &leading_number) : std::nullopt;
}

class LineTaker {
  public:
    LineTaker(Samples& samples, std::uint32_t device) : samples_(samples), device_(device) {}

    void take(std::string_view line) {
        const auto words = words_of(line);
        found_ = false;
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (words[i].find('@') != std::string_view::npos) take_temperature(words[i]);
            if (i + 1 < words.size()) take_pair(words[i], words[i + 1]);
        }
        take_board_power(words);
        if (!found_) throw BadLine("no line of tegrastats", "nothing that tegrastats tells");
    }

  private:
    void add(const char* name, const char* unit, std::optional<double> value) {
        if (!value || !std::isfinite(*value) || *value < coldest_c) return;
        samples_.add_attribute(device_, name, unit, *value);
        found_ = true;
    }

    void take_pair(std::string_view name, std::string_view value) {
        if (name == "CPU" || name == "cpu") add("cpu_mhz", "MHz", cpu_clock(value));
        if (name == "GR3D_FREQ" || name == "GR3D") add("gpu_mhz", "MHz", clock_behind_load(value));
        if (name == "EMC_FREQ" || name == "EMC") add("memory_mhz", "MHz", clock_behind_load(value));
        if (name == "RAM" && value.ends_with("MB")) add("ram_mb", "MB", leading_number(value));
    }

    /// "GPU@41.5C"; the constant 100 of PMIC and the -256 of sensors that are off tell nothing.
    void take_temperature(std::string_view word) {
        const std::size_t at = word.find('@');
        const std::string sensor = in_lower_case(std::string(word.substr(0, at)));
        if (!word.ends_with('C')) return;
        const auto value = leading_number(word.substr(at + 1));
        if (!value || *value > hottest_c) return;
        if (sensor == "gpu") add("gpu_c", "degC", value);
        if (sensor == "cpu") add("cpu_c", "degC", value);
        if (sensor == "tj") add("junction_c", "degC", value);
    }

    /// "VDD_IN 7421mW/8050mW": what the board takes now, and in the mean.
    void take_board_power(const std::vector<std::string_view>& words) {
        for (const std::string_view rail : {"VDD_IN", "POM_5V_IN", "VIN_SYS_5V0", "SYS5V"})
            for (std::size_t i = 0; i + 1 < words.size(); ++i) {
                if (words[i] != rail || words[i + 1].find('/') == std::string_view::npos) continue;
                return add("board_mw", "mW", leading_number(words[i + 1]));
            }
    }

    Samples& samples_;
    std::uint32_t device_;
    bool found_ = false;
};

} // namespace

bool is_tegrastats(std::string_view beginning) {
    const std::string_view line = from_first_text(beginning).substr(0, 4096);
    constexpr std::string_view marks[] = {"CPU [", "cpu [", "GR3D_FREQ ", "GR3D ", "EMC_FREQ "};
    return line.find("RAM ") != std::string_view::npos &&
           line.find("MB ") != std::string_view::npos && has_any(line, marks);
}

void read_tegrastats(TelemetryFile& file, Samples& samples) {
    const std::string& device = file.its_device();
    LineTaker taker(samples, samples.device(device));
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);) {
        if (from_first_text(line).empty()) continue;
        const std::string_view text = lines.has_end() ? line : without_last_word(line);
        file.take_row(lines.line(), [&] { taker.take(text); });
    }
    file.statistic = "conditions, their mean per device";
    if (file.rows == 0) file.fail("no line; expected what tegrastats prints");
}

} // namespace hdap::fleet
