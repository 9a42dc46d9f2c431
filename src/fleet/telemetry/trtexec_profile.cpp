#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <cmath>

namespace hdap::fleet {
namespace {

constexpr std::size_t longest_name = 65'536;
constexpr std::size_t longest_number = 64;
constexpr std::size_t longest_key = 64;

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// Whether `text`, which ends with a quoted key, has before it the end of a string: a quote, a
/// comma, blanks.
bool ends_string_before(std::string_view text, std::string_view key) {
    if (!text.ends_with(key)) return false;
    text.remove_suffix(key.size());
    const auto drop_blanks = [&] {
        while (!text.empty() && is_blank(text.back()))
            text.remove_suffix(1);
    };
    drop_blanks();
    if (!text.ends_with(',')) return false;
    text.remove_suffix(1);
    drop_blanks();
    return text.ends_with('"');
}

/// Reads the profile. It looks like JSON, but trtexec puts names of layers between quotes as they
/// are, with quotes of their own and backslashes: a name goes as far as the key behind it.
class ProfileReader {
  public:
    explicit ProfileReader(TelemetryFile& file) : file_(file), bytes_(*file.input.rdbuf()) {}

    LatencySummary read() {
        expect('[');
        for (char c = next_text(); c != ']'; c = next_text()) {
            if (c == ',') continue;
            if (c != '{') fail(fmt::format("{} where an object should begin", shown({&c, 1})));
            read_object();
        }
        if (layers_ == 0) fail("no layer with averageMs");
        return {.runs = runs_, .mean_ms = checked(sum_ms_)};
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw core::DataError(fmt::format("{}:{}: {}", file_.name, line_, what));
    }

    double checked(double sum_ms) const {
        try {
            return checked_latency_ms(sum_ms, LatencyUnit::milliseconds, "the layers' sum");
        } catch (const BadLine& bad) {
            fail(bad.what());
        }
    }

    char next() {
        const auto c = bytes_.sbumpc();
        if (std::streambuf::traits_type::eq_int_type(c, std::streambuf::traits_type::eof()))
            fail("the file is cut; the sum over its layers would be too small");
        if (c == '\n') ++line_;
        return std::streambuf::traits_type::to_char_type(c);
    }

    char next_text() {
        char c = next();
        while (is_blank(c))
            c = next();
        return c;
    }

    void expect(char expected) {
        const char c = next_text();
        if (c != expected) fail(fmt::format("{}, expected '{}'", shown({&c, 1}), expected));
    }

    std::string read_key() {
        std::string key;
        for (char c = next(); c != '"'; c = next()) {
            if (key.size() == longest_key) fail("a key of more than 64 bytes");
            key += c;
        }
        return key;
    }

    /// Leaves the reader behind the key that follows the name, which it returns.
    std::string skip_name() {
        constexpr std::string_view keys[] = {"\"timeMs\"", "\"averageMs\"", "\"medianMs\"",
                                             "\"percentage\""};
        std::string text = "\"";
        expect('"');
        while (true) {
            if (text.size() == longest_name) fail("a name of more than 65,536 bytes");
            text += next();
            if (text.back() != '"') continue;
            for (const std::string_view key : keys)
                if (ends_string_before(text, key))
                    return std::string(key.substr(1, key.size() - 2));
        }
    }

    /// Leaves what ends the number in `end`.
    double read_number(char& end) {
        std::string text;
        for (end = next_text(); end != ',' && end != '}' && !is_blank(end); end = next()) {
            if (text.size() == longest_number) fail("a number of more than 64 bytes");
            text += end;
        }
        if (is_blank(end)) end = next_text();
        const auto value = plain_number(text);
        if (!value || !std::isfinite(*value) || *value < 0.0)
            fail(fmt::format("{} is no number that is at least 0", shown(text)));
        return *value;
    }

    void read_object() {
        char end = ',';
        while (end == ',') {
            expect('"');
            std::string key = read_key();
            expect(':');
            if (key == "name") {
                key = skip_name();
                expect(':');
            }
            take(key, read_number(end));
        }
        if (end != '}') fail(fmt::format("{} behind a number", shown({&end, 1})));
    }

    void take(const std::string& key, double value) {
        constexpr double most_runs = 1e15;
        if (key == "count" && value >= 1.0 && value <= most_runs)
            runs_ = static_cast<std::int64_t>(value);
        if (key != "averageMs") return;
        sum_ms_ += value;
        ++layers_;
    }

    TelemetryFile& file_;
    std::streambuf& bytes_;
    std::int64_t line_ = 1;
    std::int64_t runs_ = 1;
    std::int64_t layers_ = 0;
    double sum_ms_ = 0.0;
};

} // namespace

bool is_trtexec_profile(std::string_view beginning) {
    beginning = from_first_text(beginning);
    constexpr std::size_t enough = 4096;
    constexpr std::string_view keys[] = {"\"averageMs\"", "\"timeMs\""};
    return beginning.starts_with('[') && has_any(beginning.substr(0, enough), keys);
}

void read_trtexec_profile(TelemetryFile& file, Samples& samples) {
    const std::string& benchmark = file.its_benchmark();
    const LatencySummary summary = ProfileReader(file).read();
    ++file.rows;
    add_summary(file, samples, benchmark, summary);
    file.statistic = "sum of the layers' means";
}

} // namespace hdap::fleet
