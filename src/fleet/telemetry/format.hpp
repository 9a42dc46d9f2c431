#pragma once

#include "fleet/csv_reader.hpp"
#include "fleet/telemetry/samples.hpp"
#include "hdap/fleet/latency_unit.hpp"
#include "hdap/fleet/telemetry.hpp"

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>

/// The door for what tools write about latencies. A format is a row in telemetry.cpp's table, a
/// file here and a test.
namespace hdap::fleet {

/// A file that is being imported, and what is known of it from elsewhere.
struct TelemetryFile {
    std::istream& input;
    std::string name;                     ///< for messages
    std::optional<std::string> device;    ///< that the path or an option names
    std::optional<std::string> benchmark; ///< likewise
    std::optional<LatencyUnit> unit;      ///< that an option names
    WarmUp warm_up;                       ///< that an option names
    BadLines& rejected;                   ///< for rows that cannot be used; of this file
    std::int64_t rows = 0;                ///< read so far, used or not; for the reader to count
    std::vector<std::string> remarks{};   ///< for the reader to add to: sentences about the file
    std::vector<std::string> doubts{};    ///< likewise: what is odd about it
    std::string statistic = "median of the runs"; ///< what its latencies are
    std::string warm_up_used{};                   ///< what was left out, if it differs from the row

    /// The device (benchmark), which the path or an option must have named. Throws DataError that
    /// says how to name it.
    [[nodiscard]] const std::string& its_device() const;
    [[nodiscard]] const std::string& its_benchmark() const;
};

/// Tables with a line of column names: a line per inference, or a line per device.
bool is_csv(std::string_view beginning);
void read_csv(TelemetryFile& file, Samples& samples);

} // namespace hdap::fleet
