#include "fleet/telemetry/column_names.hpp"
#include "fleet/telemetry/format.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/storage/user_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 30U;
constexpr std::size_t most_names = 10'000'000;
constexpr std::size_t numbers_at_once = std::size_t{1} << 20U;
constexpr std::size_t most_numbers_of_device = std::size_t{1} << 26U;

[[noreturn]] void fail_as_too_large(const TelemetryFile& file) {
    file.fail("is larger than 1 GiB; leave data sets out that are no latencies, or write several "
              "files");
}

/// The whole file. A seal of hdap that is there must fit: HDF5 does not survive every damage.
std::vector<std::byte> bytes_of(TelemetryFile& file) {
    std::error_code error;
    if (!file.path.empty() && std::filesystem::is_regular_file(file.path, error)) {
        if (std::filesystem::file_size(file.path, error) > most_bytes) fail_as_too_large(file);
        try {
            return storage::read_sealed(file.path, storage::Seal::optional);
        } catch (const core::CorruptFileError& damage) {
            throw core::DataError(damage.what()); // of several files, others may be used
        }
    }
    std::vector<std::byte> bytes;
    constexpr std::size_t block = std::size_t{1} << 20U;
    while (true) {
        const std::size_t before = bytes.size();
        if (before > most_bytes) fail_as_too_large(file);
        bytes.resize(before + block);
        const std::streamsize read = file.input.rdbuf()->sgetn(
            reinterpret_cast<char*>(bytes.data() + before), static_cast<std::streamsize>(block));
        bytes.resize(before + static_cast<std::size_t>(read));
        if (read == 0) return bytes;
    }
}

class TableReader {
  public:
    TableReader(TelemetryFile& file, Samples& samples, const storage::Hdf5Reader& content)
        : file_(file), samples_(samples), hdf5_(content), latencies_(latencies_entry()),
          unit_(unit_of_latencies()) {}

    void read() {
        file_.use_unit(unit_);
        const std::size_t dimensions = latencies_.shape.size();
        if (dimensions == 1) return read_columns();
        if (dimensions == 2 || dimensions == 3) return read_matrix();
        file_.fail(fmt::format("{} has {}; expected one (a row per run), or [device, benchmark] "
                               "and perhaps [run]",
                               latencies_.path, core::counted(dimensions, "dimension")));
    }

  private:
    storage::Entry latencies_entry() const {
        std::vector<storage::Entry> at_root;
        for (const storage::Entry& entry : hdf5_.list())
            if (!entry.is_group && entry.path.find('/', 1) == std::string::npos)
                at_root.push_back(entry);
        std::vector<std::string_view> names;
        for (const storage::Entry& entry : at_root)
            names.push_back(std::string_view(entry.path).substr(1));
        const auto found = latency_among(names);
        if (!found || found->is_median)
            file_.fail("no data set of latencies; expected /device_id, /benchmark and /latency_ms");
        if (found->rival)
            file_.fail(fmt::format("{} and {} are both latencies; leave one of them out",
                                   at_root[found->place].path, at_root[*found->rival].path));
        return at_root[found->place];
    }

    LatencyUnit unit_of_latencies() const {
        const std::string& path = latencies_.path;
        auto own = unit_at_end_of(path);
        if (!own && hdf5_.has_attribute(path, "unit"))
            own = unit_named(hdf5_.attribute_string(path, "unit"));
        if (own && file_.unit && *own != *file_.unit)
            throw core::UsageError(fmt::format("{}: {} is in {}, but --unit says {}", file_.name,
                                               path, name_of(*own), name_of(*file_.unit)));
        if (!own && !file_.unit)
            file_.fail(fmt::format("{} does not tell its unit; name it {}_ms, _us, _ns or _s, or "
                                   "give --unit",
                                   path, path));
        return own ? *own : *file_.unit;
    }

    /// A data set of texts, or of whole numbers as texts.
    std::vector<std::string> texts(const std::string& path) const {
        const auto entries = hdf5_.list();
        const auto entry = std::find_if(entries.begin(), entries.end(),
                                        [&](const auto& its) { return its.path == path; });
        const bool is_integer = entry != entries.end() && entry->type.find("int") < 2;
        if (!is_integer) return hdf5_.read_strings(path);
        std::vector<std::string> texts;
        for (const std::int64_t number : hdf5_.read<std::int64_t>(path))
            texts.push_back(fmt::format("{}", number));
        return texts;
    }

    /// The names in a data set of that length; none where path or option name the one.
    std::vector<std::string> names(const std::string& path, std::size_t count,
                                   const std::optional<std::string>& one) const {
        if (!hdf5_.contains(path) && one) return {};
        const storage::Shape expected{count};
        if (count > most_names || hdf5_.shape(path) != expected)
            file_.fail(fmt::format("{} has not the length of {}, {} (at most {})", path,
                                   latencies_.path, core::grouped(count),
                                   core::grouped(most_names)));
        std::vector<std::string> names = texts(path);
        for (std::string& name : names) {
            name = std::string(trimmed(name));
            if (!is_name(name))
                file_.fail(fmt::format("{} holds {}, expected names of 1 to 256 bytes without "
                                       "control characters",
                                       path, shown(name)));
        }
        return names;
    }

    /// Rows of /latency are runs.
    void read_columns() {
        const std::size_t count = latencies_.shape[0];
        const auto devices = names("/device_id", count, file_.device);
        const auto benchmarks = names("/benchmark", count, file_.benchmark);
        std::vector<std::int64_t> runs;
        if (hdf5_.contains("/run")) runs = hdf5_.read<std::int64_t>("/run", {count});
        for (std::size_t first = 0; first < count; first += numbers_at_once) {
            const std::size_t now = std::min(numbers_at_once, count - first);
            const auto values = hdf5_.read_rows<double>(latencies_.path, first, now);
            for (std::size_t i = first; i < first + now; ++i)
                take(i, values[i - first], devices.empty() ? file_.its_device() : devices[i],
                     benchmarks.empty() ? file_.its_benchmark() : benchmarks[i],
                     runs.empty() ? std::nullopt : std::optional(runs[i]));
        }
        if (!devices.empty()) add_conditions(devices);
    }

    void read_matrix() {
        const std::size_t count = latencies_.shape[0];
        const std::size_t width = latencies_.shape[1];
        const std::size_t repeats = latencies_.shape.size() == 3 ? latencies_.shape[2] : 1;
        if (width > most_numbers_of_device ||
            repeats > most_numbers_of_device / std::max<std::size_t>(width, 1))
            file_.fail(fmt::format("{} has more than 2^26 numbers of a device", latencies_.path));
        const auto devices = names("/device_id", count, std::nullopt);
        const auto benchmarks = names("/benchmark", width, std::nullopt);
        const std::size_t row = width * repeats;
        const std::size_t rows_at_once =
            std::max<std::size_t>(1, numbers_at_once / std::max<std::size_t>(row, 1));
        for (std::size_t first = 0; first < count && row > 0; first += rows_at_once) {
            const std::size_t now = std::min(rows_at_once, count - first);
            const auto values = hdf5_.read_rows<double>(latencies_.path, first, now);
            for (std::size_t i = 0; i < values.size(); ++i)
                take(first + i / row, values[i], devices[first + i / row],
                     benchmarks[i % row / repeats], std::nullopt);
        }
        add_conditions(devices);
    }

    /// NaN is a latency that was not measured.
    void take(std::size_t row, double value, const std::string& device,
              const std::string& benchmark, std::optional<std::int64_t> run) {
        if (std::isnan(value) || !samples_.wants(benchmark)) return;
        file_.take_row(static_cast<std::int64_t>(row) + 1, [&] {
            const double latency_ms = checked_latency_ms(value, unit_, latencies_.path.substr(1));
            if (!samples_.add_run(samples_.device(device), samples_.benchmark(benchmark), run,
                                  latency_ms))
                throw BadLine("a run that is in a row before already",
                              fmt::format("run {} of device {} on {} is in a row before already",
                                          *run, shown(device), shown(benchmark)));
        });
    }

    /// Other data sets at the root with a value per row.
    void add_conditions(const std::vector<std::string>& device_of_row) {
        const storage::Shape expected{device_of_row.size()};
        for (const storage::Entry& entry : hdf5_.list()) {
            const std::string name = entry.path.substr(1);
            constexpr std::string_view known[] = {"device_id", "benchmark", "run"};
            if (entry.is_group || name.find('/') != std::string::npos || entry.shape != expected ||
                entry.path == latencies_.path || !is_name(name) || entry.type == "other" ||
                std::find(std::begin(known), std::end(known), name) != std::end(known))
                continue;
            if (entry.type == "string")
                add_labels(name, device_of_row);
            else
                add_attributes(name, device_of_row);
        }
    }

    void add_labels(const std::string& name, const std::vector<std::string>& device_of_row) {
        const auto values = hdf5_.read_strings("/" + name);
        for (std::size_t i = 0; i < values.size(); ++i)
            if (is_name(values[i]))
                samples_.add_label(samples_.device(device_of_row[i]), name, values[i]);
    }

    void add_attributes(const std::string& name, const std::vector<std::string>& device_of_row) {
        std::string unit = attribute_unit(name);
        if (hdf5_.has_attribute("/" + name, "unit"))
            unit = hdf5_.attribute_string("/" + name, "unit");
        if (!is_name(unit)) return;
        const auto values = hdf5_.read<double>("/" + name);
        for (std::size_t i = 0; i < values.size(); ++i)
            if (std::isfinite(values[i]))
                samples_.add_attribute(samples_.device(device_of_row[i]), name, unit, values[i]);
    }

    TelemetryFile& file_;
    Samples& samples_;
    const storage::Hdf5Reader& hdf5_;
    storage::Entry latencies_;
    LatencyUnit unit_;
};

} // namespace

bool is_hdf5_table(std::string_view beginning) {
    return storage::is_hdf5(std::as_bytes(std::span(beginning)));
}

void read_hdf5_table(TelemetryFile& file, Samples& samples) {
    const auto read = [&](const storage::Hdf5Reader& content) {
        TableReader(file, samples, content).read();
    };
    read(storage::open_user_bytes(bytes_of(file), file.name, read));
    if (file.rows == 0) file.fail("holds no latency of a wanted benchmark, only NaN");
}

} // namespace hdap::fleet
