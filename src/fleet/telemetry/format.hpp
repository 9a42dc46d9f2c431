#pragma once

#include "fleet/csv_reader.hpp"
#include "fleet/telemetry/samples.hpp"
#include "hdap/fleet/latency_unit.hpp"
#include "hdap/fleet/telemetry.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
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
    std::filesystem::path path;           ///< empty where the input is no file on the disk
    std::optional<std::string> device;    ///< that the path or an option names
    std::optional<std::string> benchmark; ///< likewise
    std::optional<LatencyUnit> unit;      ///< that an option names
    WarmUp warm_up;                       ///< that an option names; of kinds that the row takes
    std::string metric;                   ///< that an option names; empty: the format's own
    BadLines& rejected;                   ///< for rows that cannot be used; of this file
    std::int64_t rows = 0;                ///< read so far, used or not; for the reader to count
    std::vector<std::string> remarks{};   ///< for the reader to add to: sentences about the file
    std::vector<std::string> doubts{};    ///< likewise: what is odd about it
    std::string statistic = "median of the runs"; ///< what its latencies are
    std::string warm_up_used{};                   ///< what was left out, if it differs from the row
    std::string unit_used{}; ///< of the latencies, where the row leaves it open

    /// The device (benchmark), which the path or an option must have named. Throws DataError that
    /// says how to name it.
    [[nodiscard]] const std::string& its_device() const;
    [[nodiscard]] const std::string& its_benchmark() const;

    /// Counts a row, and does `use` with it; when that throws BadLine, the row is one that cannot
    /// be used.
    void take_row(std::int64_t line, const std::function<void()>& use);

    /// Adds to unit_used: "ms", "ms, us".
    void use_unit(LatencyUnit used);

    /// Throws DataError that begins with the name.
    [[noreturn]] void fail(const std::string& message) const;
};

/// A file's latencies, of its device on its benchmark, or on another that it names itself.
/// Nothing happens for a benchmark that is not wanted.
void add_log(const TelemetryFile& file, Samples& samples, const std::string& benchmark,
             const LatencyAccumulator& log);
/// The same of what a tool tells of its runs. The file's statistic becomes that of the summary.
void add_summary(TelemetryFile& file, Samples& samples, const std::string& benchmark,
                 const LatencySummary& summary);

/// What is left out at the beginning of a log. One of the two is set.
struct WarmUpRule {
    double ms = 0.0;
    std::int64_t runs = 0;
};

/// `usual`, unless an option says another one; then `file.warm_up_used` tells it.
WarmUpRule warm_up_rule(TelemetryFile& file, const WarmUpRule& usual);

// The formats. `is_X` tells whether a file that begins so may be one; `read_X` reads it, and throws
// DataError when nothing in it is a measurement.

/// HDF5: a matrix of devices and benchmarks, or columns of equal length.
bool is_hdf5_table(std::string_view beginning);
void read_hdf5_table(TelemetryFile& file, Samples& samples);

/// A JSON object per line, or a list of objects, with the keys of the table's columns.
bool is_json_lines(std::string_view beginning);
void read_json_lines(TelemetryFile& file, Samples& samples);

/// trtexec --exportTimes, --exportProfile, and what it prints.
bool is_trtexec_times(std::string_view beginning);
void read_trtexec_times(TelemetryFile& file, Samples& samples);
bool is_trtexec_profile(std::string_view beginning);
void read_trtexec_profile(TelemetryFile& file, Samples& samples);
bool is_trtexec_log(std::string_view beginning);
void read_trtexec_log(TelemetryFile& file, Samples& samples);

/// What TensorFlow Lite's benchmark_model prints.
bool is_tflite_benchmark(std::string_view beginning);
void read_tflite_benchmark(TelemetryFile& file, Samples& samples);

/// The result file of onnxruntime_perf_test, and ONNX Runtime's profile.
bool is_onnxruntime_perf(std::string_view beginning);
void read_onnxruntime_perf(TelemetryFile& file, Samples& samples);
bool is_onnxruntime_profile(std::string_view beginning);
void read_onnxruntime_profile(TelemetryFile& file, Samples& samples);

/// The reports of OpenVINO's benchmark_app: statistics as CSV and JSON, counters as CSV.
bool is_openvino_csv(std::string_view beginning);
void read_openvino_csv(TelemetryFile& file, Samples& samples);
bool is_openvino_json(std::string_view beginning);
void read_openvino_json(TelemetryFile& file, Samples& samples);
bool is_openvino_counters(std::string_view beginning);
void read_openvino_counters(TelemetryFile& file, Samples& samples);

/// mlperf_log_detail.txt of MLPerf's LoadGen.
bool is_loadgen(std::string_view beginning);
void read_loadgen(TelemetryFile& file, Samples& samples);

/// Prometheus' text format: counters of Triton or of a histogram, DCGM's gauges.
bool is_prometheus(std::string_view beginning);
void read_prometheus(TelemetryFile& file, Samples& samples);

/// What tegrastats prints: conditions, no latencies.
bool is_tegrastats(std::string_view beginning);
void read_tegrastats(TelemetryFile& file, Samples& samples);

/// Tables with a line of column names: a line per inference, or a line per device.
bool is_csv(std::string_view beginning);
void read_csv(TelemetryFile& file, Samples& samples);

} // namespace hdap::fleet
