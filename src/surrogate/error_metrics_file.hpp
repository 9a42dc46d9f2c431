#pragma once

#include "hdap/storage/hdf5.hpp"
#include "hdap/surrogate/error_metrics.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace hdap::surrogate {

/// Of surrogates that were not cross-validated: not numbers.
ErrorMetrics unknown_errors();

/// Writes {mape,rmse_ms,r_squared,kendall_tau} [cluster] below `prefix`/cross_validation.
void write_metrics(storage::Hdf5Writer& file, const std::string& prefix,
                   const std::vector<ErrorMetrics>& metrics);

/// Reads what write_metrics wrote. Throws DataError for what is missing or misshapen.
std::vector<ErrorMetrics> read_metrics(const storage::Hdf5Reader& file, const std::string& prefix,
                                       std::size_t clusters);

} // namespace hdap::surrogate
