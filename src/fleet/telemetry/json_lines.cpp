#include "fleet/telemetry/column_names.hpp"
#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/json_records.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <span>
#include <utility>

namespace hdap::fleet {
namespace {

constexpr std::size_t longest_line = std::size_t{1} << 20U; // a list of runs takes more than a row

/// A text, or a whole number that stands for one.
std::optional<std::string> name_of_value(const JsonField& field) {
    if (const auto* const text = std::get_if<std::string>(&field.value))
        return std::string(trimmed(*text));
    const double* const number = std::get_if<double>(&field.value);
    constexpr double exact = 9007199254740992.0; // 2^53
    if (number == nullptr || *number != std::floor(*number) || std::abs(*number) > exact)
        return std::nullopt;
    return fmt::format("{}", static_cast<std::int64_t>(*number));
}

class RecordReader {
  public:
    RecordReader(TelemetryFile& file, Samples& samples) : file_(file), samples_(samples) {}

    void take(std::int64_t line, const JsonRecord& record) {
        const auto benchmark = name_in(record, {"benchmark"}, file_.benchmark);
        if (benchmark && !samples_.wants(*benchmark)) return;
        file_.take_row(line, [&] { take_wanted(record, benchmark); });
    }

  private:
    std::optional<std::string> name_in(const JsonRecord& record,
                                       std::initializer_list<std::string_view> keys,
                                       const std::optional<std::string>& otherwise) const {
        for (const JsonField& field : record.fields)
            for (const std::string_view key : keys)
                if (in_lower_case(field.key) == key)
                    if (auto name = name_of_value(field)) return name;
        return otherwise;
    }

    static const std::string& checked(const std::optional<std::string>& name, const char* key) {
        if (!name)
            throw BadLine(fmt::format("no {}", key), fmt::format("no {} that is a text", key));
        if (!is_name(*name))
            throw BadLine(fmt::format("{} is no name", key),
                          fmt::format("{} is {}, expected 1 to 256 bytes without control "
                                      "characters",
                                      key, shown(*name)));
        return *name;
    }

    void take_wanted(const JsonRecord& record, const std::optional<std::string>& benchmark_name) {
        record.check();
        const auto device_name = name_in(record, {"device_id", "device"}, file_.device);
        const std::string& device = checked(device_name, "device_id");
        const std::string& benchmark = checked(benchmark_name, "benchmark");
        try {
            add(record, device, benchmark, latencies_ms(record));
        } catch (const BadLine&) {
            samples_.add_rejected(device);
            throw;
        }
    }

    void add(const JsonRecord& record, const std::string& device, const std::string& benchmark,
             std::span<const double> latencies) {
        // The number of a list is none of its runs.
        const auto run = latencies.size() == 1 ? run_of(record) : std::nullopt;
        const std::uint32_t number = samples_.device(device);
        for (const double latency_ms : latencies)
            if (!samples_.add_run(number, samples_.benchmark(benchmark), run, latency_ms))
                throw BadLine("a run that is in a line before already",
                              fmt::format("run {} of device {} on {} is in a line before already",
                                          *run, shown(device), shown(benchmark)));
        const JsonField* const latency = latency_field(record);
        for (const JsonField& field : record.fields)
            if (&field != latency) add_condition(field, number);
    }

    static std::optional<std::int64_t> run_of(const JsonRecord& record) {
        const auto run = record.number("run");
        if (!run) return std::nullopt;
        constexpr double most = 9e15;
        if (*run != std::floor(*run) || std::abs(*run) > most)
            throw BadLine("run is no integer",
                          fmt::format("run is {}, expected a whole number", core::shortest(*run)));
        return static_cast<std::int64_t>(*run);
    }

    static const JsonField* latency_field(const JsonRecord& record) {
        std::vector<std::string_view> names;
        for (const JsonField& field : record.fields)
            names.emplace_back(field.key);
        const auto found = latency_among(names);
        if (!found) return nullptr;
        if (found->rival)
            throw BadLine("two latencies",
                          fmt::format("{} and {} are both latencies", shown(names[found->place]),
                                      shown(names[*found->rival])));
        return &record.fields[found->place];
    }

    /// Of one number, or of a list of them.
    std::vector<double> latencies_ms(const JsonRecord& record) {
        const JsonField* const found = latency_field(record);
        if (found == nullptr)
            throw BadLine("no latency", "no latency, such as \"latency_ms\": 11.6");
        const LatencyUnit unit = unit_of(found->key);
        std::vector<double> latencies;
        if (const double* const one = std::get_if<double>(&found->value))
            latencies.push_back(checked_latency_ms(*one, unit, found->key));
        else if (const auto* const several = std::get_if<std::vector<double>>(&found->value))
            for (const double value : *several)
                latencies.push_back(checked_latency_ms(value, unit, found->key));
        if (latencies.empty())
            throw BadLine(fmt::format("{} is no number", core::printable(found->key)),
                          fmt::format("{} is no number", shown(found->key)));
        return latencies;
    }

    LatencyUnit unit_of(const std::string& key) {
        const auto own = unit_at_end_of(key);
        if (own && file_.unit && *own != *file_.unit)
            throw core::UsageError(fmt::format("{}: {} is in {}, but --unit says {}", file_.name,
                                               shown(key), name_of(*own), name_of(*file_.unit)));
        if (!own && !file_.unit)
            file_.fail(fmt::format("{} does not tell its unit; name it {}_ms, _us, _ns or _s, or "
                                   "give --unit",
                                   shown(key), key));
        const LatencyUnit unit = own ? *own : *file_.unit;
        if (used_[static_cast<std::size_t>(unit)]) return unit;
        used_[static_cast<std::size_t>(unit)] = true;
        file_.use_unit(unit);
        return unit;
    }

    /// What is neither name nor latency is an attribute or a label.
    void add_condition(const JsonField& field, std::uint32_t device) {
        const std::string key = in_lower_case(field.key);
        if (key == "device_id" || key == "device" || key == "benchmark" || key == "run") return;
        const std::string name = attribute_name(field.key);
        if (!is_name(name) || !kinds_.accepts(name, field)) return;
        if (const double* const number = std::get_if<double>(&field.value))
            samples_.add_attribute(device, name, attribute_unit(name), *number);
        else if (const auto* const text = std::get_if<std::string>(&field.value))
            samples_.add_label(device, name, *text);
    }

    /// A key is of numbers or of texts, as its first value is; up to 64 keys count.
    class Kinds {
      public:
        bool accepts(const std::string& name, const JsonField& field) {
            const auto* const text = std::get_if<std::string>(&field.value);
            const double* const number = std::get_if<double>(&field.value);
            if (number == nullptr && (text == nullptr || !is_name(*text))) return false;
            if (number != nullptr && !std::isfinite(*number)) return false;
            for (const auto& [known, is_number] : kinds_)
                if (known == name) return is_number == (number != nullptr);
            constexpr std::size_t most = 64;
            if (kinds_.size() == most) return false;
            kinds_.emplace_back(name, number != nullptr);
            return true;
        }

      private:
        std::vector<std::pair<std::string, bool>> kinds_;
    };

    TelemetryFile& file_;
    Samples& samples_;
    Kinds kinds_;
    std::array<bool, 4> used_{}; ///< [unit]
};

/// The first byte that is neither of a blank nor of a byte order mark; these are read.
std::streambuf::int_type first_text_byte(std::streambuf& bytes) {
    constexpr std::string_view skipped = " \t\r\n\xEF\xBB\xBF";
    auto byte = bytes.sgetc();
    while (byte != std::streambuf::traits_type::eof() &&
           skipped.find(std::streambuf::traits_type::to_char_type(byte)) != std::string_view::npos)
        byte = bytes.snextc();
    return byte;
}

void read_list(TelemetryFile& file, RecordReader& reader) {
    const JsonEnd end = read_json_list(file.input, file.name, 1, [&](const JsonRecord& record) {
        reader.take(record.line, record);
    });
    if (end != JsonEnd::closed)
        file.doubts.push_back(file.name + ": the list does not end; was the file cut?");
}

} // namespace

bool is_json_lines(std::string_view beginning) {
    beginning = from_first_text(beginning);
    if (beginning.starts_with('{')) return true;
    // Lines of logs begin with a bracket, too.
    return beginning.starts_with('[') && from_first_text(beginning.substr(1)).starts_with('{');
}

void read_json_lines(TelemetryFile& file, Samples& samples) {
    RecordReader reader(file, samples);
    if (first_text_byte(*file.input.rdbuf()) == '[') {
        read_list(file, reader);
    } else {
        LineReader lines(file.input, file.name, longest_line);
        for (std::string line; lines.next(line);) {
            const std::string_view text = from_first_text(line);
            if (text.empty()) continue;
            JsonRecord record;
            try {
                record = parse_json_object(text, 1);
            } catch (const BadLine& bad) {
                ++file.rows;
                file.rejected.add(lines.line(), bad);
                continue;
            }
            reader.take(lines.line(), record);
        }
    }
    if (file.rows == 0) file.fail("no JSON object; expected one per line");
}

} // namespace hdap::fleet
