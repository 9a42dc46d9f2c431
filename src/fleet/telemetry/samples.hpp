#pragma once

#include "fleet/csv_reader.hpp"
#include "fleet/telemetry/counter_pair.hpp"
#include "fleet/telemetry/latency_accumulator.hpp"
#include "hdap/fleet/fleet.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hdap::fleet {

/// What a tool tells of its runs where it does not list them.
struct LatencySummary {
    std::int64_t runs = 1;
    std::optional<double> mean_ms{};
    std::optional<double> median_ms{};
    LatencySpread spread{}; ///< those of the quantiles that it tells; its `runs` are not used

    /// Sets the quantile `q` if it is one of kept_quantiles, the median among them.
    void set_quantile(double q, double latency_ms);
    /// The median, or the mean where there is none; not a number without both.
    [[nodiscard]] double latency_ms() const;
};

/// Collects what formats read, whatever their order, into a fleet.
class Samples {
  public:
    /// Only these benchmarks are wanted, in this order; without any, all.
    explicit Samples(std::vector<std::string> benchmarks = {}) : selected_(std::move(benchmarks)) {
        for (const std::string& benchmark : selected_)
            benchmarks_.number(benchmark);
    }

    [[nodiscard]] bool wants(const std::string& benchmark) const {
        return selected_.empty() || benchmarks_.contains(benchmark);
    }

    /// The number of a device or benchmark; a new one for a new name.
    std::uint32_t device(const std::string& name) { return devices_.number(name); }
    std::uint32_t benchmark(const std::string& name) { return benchmarks_.number(name); }
    [[nodiscard]] const NameTable& devices() const noexcept { return devices_; }
    [[nodiscard]] const NameTable& benchmarks() const noexcept { return benchmarks_; }

    /// One inference. With the number of the run: false, and nothing happens, when that run of the
    /// device on the benchmark is there already.
    bool add_run(std::uint32_t device, std::uint32_t benchmark, std::optional<std::int64_t> run,
                 double latency_ms);

    /// All inferences that one log tells of. `place` names the log where two contradict each other.
    void add_log(std::uint32_t device, std::uint32_t benchmark, const LatencyAccumulator& log,
                 const std::string& place);
    void add_summary(std::uint32_t device, std::uint32_t benchmark, const LatencySummary& summary,
                     const std::string& place);

    /// The totals of a pair of counters in one scrape: the time of all inferences since the server
    /// began, and their number. Scrapes of a `series` come in the order of time, over all files.
    /// The latencies are there after settle().
    void add_scrape(std::uint32_t device, std::uint32_t benchmark, const std::string& series,
                    const CounterTotals& totals) {
        counters_[{device, benchmark}][series].add(totals);
    }

    /// Makes latencies of what the counters came to. Once, when everything has been read.
    void settle();

    /// A device of a row that cannot be used.
    void add_rejected(const std::string& device) { of_rejected_.number(device); }

    /// A number that is known of a device; a device's is the mean of those given.
    void add_attribute(std::uint32_t device, const std::string& name, const std::string& unit,
                       double value);
    /// A text that is known of a device; it is none where several were given.
    void add_label(std::uint32_t device, const std::string& name, const std::string& value);

    [[nodiscard]] std::int64_t runs() const noexcept { return runs_; }
    [[nodiscard]] bool empty() const noexcept { return cells_.empty(); }

    /// What is odd about the measurements, as sentences for the user.
    [[nodiscard]] std::vector<std::string> doubts() const;

    /// Devices and benchmarks with a latency, in the order of their numbers, and what else is known
    /// of these devices. What was not measured is NaN. Throws DataError when hardly any device has
    /// hardly any benchmark, so that the table of both would be empty but large.
    [[nodiscard]] Fleet fleet(const std::string& sku) const;

  private:
    /// A device on a benchmark.
    struct Cell {
        std::uint32_t device = 0;
        std::uint32_t benchmark = 0;
        LatencyAccumulator latencies; ///< of runs, or a summary's one
        RunSet numbers;
        std::int64_t runs = 0;
        std::optional<LatencySpread> told; ///< by a single summary
        bool from_runs = false;
        std::string first_place; ///< of the first log or summary
        double first_ms = 0.0;   ///< its latency
    };
    struct Mean {
        double sum = 0.0;
        std::int64_t count = 0;
    };
    struct Attribute {
        std::string name;
        std::string unit;
        std::vector<Mean> of_device; ///< by number; perhaps not all
    };
    struct Label {
        std::string name;
        std::vector<std::string> of_device; ///< by number; perhaps not all; empty: not known
    };

    Cell& cell(std::uint32_t device, std::uint32_t benchmark);
    void compare(Cell& cell, double latency_ms, const std::string& place);
    [[nodiscard]] bool halves_are_copies() const;
    void doubt_counters(std::vector<std::string>& doubts) const;
    void doubt_labels(std::vector<std::string>& doubts) const;
    [[nodiscard]] bool is_attribute(const std::string& name) const;
    [[nodiscard]] static LatencySpread spread_of(const Cell& cell);
    void add_latencies(Fleet& fleet, const std::vector<std::size_t>& row,
                       const std::vector<std::size_t>& column) const;
    void add_attributes(Fleet& fleet, std::span<const std::uint32_t> devices) const;
    void add_labels(Fleet& fleet, std::span<const std::uint32_t> devices) const;

    std::vector<std::string> selected_;
    NameTable devices_;
    NameTable benchmarks_;
    NameTable of_rejected_;   ///< devices
    std::vector<Cell> cells_; ///< in the order of their first runs
    std::unordered_map<std::uint64_t, std::size_t> place_of_cell_;
    std::size_t last_cell_ = 0;
    std::int64_t runs_ = 0;
    std::vector<Attribute> attributes_;
    std::vector<Label> labels_;
    /// By device and benchmark, then by series.
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::map<std::string, CounterPair>> counters_;
    std::int64_t restarts_ = 0;               ///< counters that went back
    std::vector<std::string> idle_;           ///< counters that no inference changed
    std::vector<std::string> contradictions_; ///< the first few
    std::int64_t contradicting_ = 0;
};

} // namespace hdap::fleet
