#include "fleet/telemetry/latency_accumulator.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace hdap::fleet {
namespace {

const double log_bin_width = std::log(1.001);

std::int32_t bin_of(double latency_ms) {
    return static_cast<std::int32_t>(std::floor(std::log(latency_ms) / log_bin_width));
}
double middle_of(std::int32_t bin) {
    return std::exp((static_cast<double>(bin) + 0.5) * log_bin_width);
}

} // namespace

void LatencyAccumulator::add(double latency_ms) {
    ++runs_;
    values_.push_back(latency_ms);
    if (values_.size() > exact_runs) fold();
}

void LatencyAccumulator::add(const LatencyAccumulator& other) {
    runs_ += other.runs_;
    values_.insert(values_.end(), other.values_.begin(), other.values_.end());
    bins_.insert(bins_.end(), other.bins_.begin(), other.bins_.end());
    if (!bins_.empty() || values_.size() > exact_runs) fold();
}

/// Moves the values into bins.
void LatencyAccumulator::fold() {
    for (const double value : values_)
        bins_.emplace_back(bin_of(value), 1);
    values_.clear();
    std::sort(bins_.begin(), bins_.end());
    std::size_t last = 0;
    for (std::size_t i = 1; i < bins_.size(); ++i)
        if (bins_[i].first == bins_[last].first)
            bins_[last].second += bins_[i].second;
        else
            bins_[++last] = bins_[i];
    bins_.resize(last + 1);
}

double LatencyAccumulator::quantile_ms(double q) const {
    if (runs_ == 0) throw core::InternalError("a quantile of no latencies");
    return bins_.empty() ? core::quantile(values_, q) : binned_quantile_ms(q);
}

double LatencyAccumulator::binned_quantile_ms(double q) const {
    LatencyAccumulator all = *this;
    all.fold();
    const auto rank = static_cast<std::int64_t>(std::lround(q * static_cast<double>(runs_ - 1)));
    std::int64_t before = 0;
    for (const auto& [bin, count] : all.bins_) {
        before += count;
        if (rank < before) return middle_of(bin);
    }
    throw core::InternalError("bins that lack latencies");
}

bool RunSet::insert(std::int64_t run) {
    const auto next = intervals_.upper_bound(run);
    const auto before = next == intervals_.begin() ? intervals_.end() : std::prev(next);
    if (before != intervals_.end() && run <= before->second) return false;
    std::int64_t last = run;
    if (next != intervals_.end() && run + 1 == next->first) {
        last = next->second;
        intervals_.erase(next);
    }
    if (before != intervals_.end() && before->second + 1 == run)
        before->second = last;
    else
        intervals_.emplace(run, last);
    return true;
}

} // namespace hdap::fleet
