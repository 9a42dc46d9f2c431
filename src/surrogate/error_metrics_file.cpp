#include "surrogate/error_metrics_file.hpp"

#include <limits>

namespace hdap::surrogate {

ErrorMetrics unknown_errors() {
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    return {.mape = unknown, .rmse = unknown, .r_squared = unknown, .kendall_tau = unknown};
}

std::vector<ErrorMetrics> read_metrics(const storage::Hdf5Reader& file, const std::string& prefix,
                                       std::size_t clusters) {
    const auto read = [&](const char* name) {
        return file.read<double>(prefix + "/cross_validation/" + name, {clusters});
    };
    const std::vector<double> mape = read("mape");
    const std::vector<double> rmse = read("rmse_ms");
    const std::vector<double> r_squared = read("r_squared");
    const std::vector<double> tau = read("kendall_tau");
    std::vector<ErrorMetrics> metrics;
    for (std::size_t k = 0; k < clusters; ++k)
        metrics.push_back(
            {.mape = mape[k], .rmse = rmse[k], .r_squared = r_squared[k], .kendall_tau = tau[k]});
    return metrics;
}

void write_metrics(storage::Hdf5Writer& file, const std::string& prefix,
                   const std::vector<ErrorMetrics>& metrics) {
    const auto write = [&](const char* name, double ErrorMetrics::*member) {
        std::vector<double> values;
        for (const ErrorMetrics& cluster : metrics)
            values.push_back(cluster.*member);
        file.write(prefix + "/cross_validation/" + name, values);
    };
    write("mape", &ErrorMetrics::mape);
    write("rmse_ms", &ErrorMetrics::rmse);
    file.attribute(prefix + "/cross_validation/rmse_ms", "unit", "ms");
    write("r_squared", &ErrorMetrics::r_squared);
    write("kendall_tau", &ErrorMetrics::kendall_tau);
}

} // namespace hdap::surrogate
