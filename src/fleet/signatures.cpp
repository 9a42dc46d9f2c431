#include "hdap/fleet/signatures.hpp"

#include "hdap/core/statistics.hpp"

#include <cmath>

namespace hdap::fleet {
namespace {

/// Subtracts from each row the mean of what it has.
void subtract_row_means(std::vector<double>& signature, std::size_t benchmarks) {
    for (std::size_t first = 0; first < signature.size(); first += benchmarks) {
        double sum = 0.0;
        double measured = 0.0;
        for (const double value : std::span(signature).subspan(first, benchmarks)) {
            if (std::isnan(value)) continue;
            sum += value;
            measured += 1.0;
        }
        for (double& value : std::span(signature).subspan(first, benchmarks))
            value -= sum / measured;
    }
}

} // namespace

std::string_view name_of(SignatureMetric metric) {
    return metric == SignatureMetric::level ? "level" : "shape";
}

std::vector<double> latency_signatures(std::span<const double> latency_ms, std::size_t benchmarks,
                                       SignatureMetric metric) {
    std::vector<double> signature(latency_ms.size());
    std::vector<double> column;
    for (std::size_t b = 0; b < benchmarks; ++b) {
        column.clear();
        for (std::size_t i = b; i < latency_ms.size(); i += benchmarks)
            if (!std::isnan(latency_ms[i])) column.push_back(latency_ms[i]);
        const double log_median = std::log(core::median(column));
        for (std::size_t i = b; i < latency_ms.size(); i += benchmarks)
            signature[i] = std::log(latency_ms[i]) - log_median;
    }
    if (metric == SignatureMetric::shape) subtract_row_means(signature, benchmarks);
    return signature;
}

std::vector<double> latency_signatures(const Fleet& fleet, SignatureMetric metric) {
    return latency_signatures(fleet.latency_ms, fleet.benchmarks(), metric);
}

std::vector<double> mean_log_latency(std::span<const double> latency_ms, std::size_t benchmarks) {
    std::vector<double> mean(latency_ms.size() / benchmarks, 0.0);
    for (std::size_t i = 0; i < mean.size(); ++i) {
        for (std::size_t b = 0; b < benchmarks; ++b)
            mean[i] += std::log(latency_ms[i * benchmarks + b]);
        mean[i] /= static_cast<double>(benchmarks);
    }
    return mean;
}

} // namespace hdap::fleet
