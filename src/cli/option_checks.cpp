#include "option_checks.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/core.h>

#include <cmath>
#include <filesystem>

namespace hdap::cli {

namespace fs = std::filesystem;

namespace {

/// Whole numbers with all their digits.
std::string bound_text(double value) {
    const bool whole = value == std::floor(value) && std::abs(value) < 1e18;
    return whole ? std::to_string(static_cast<long long>(value)) : core::shortest(value);
}

} // namespace

CLI::Validator within(double low, double high) {
    const std::string range = fmt::format("[{} - {}]", bound_text(low), bound_text(high));
    return {[low, high, range](std::string& text) {
                double value = 0.0;
                if (!CLI::detail::lexical_cast(text, value) || !std::isfinite(value))
                    return fmt::format("'{}' is not a finite number", text);
                if (value < low || value > high)
                    return fmt::format("'{}' is not in {}", text, range);
                return std::string();
            },
            "in " + range};
}

void check_output_file(const std::string& option, const std::string& file,
                       const std::vector<std::string>& inputs) {
    const fs::path folder = fs::absolute(file).parent_path();
    if (!fs::is_directory(folder))
        throw core::UsageError(
            fmt::format("{} {}: there is no folder {}", option, file, folder.string()));
    if (fs::is_directory(file))
        throw core::UsageError(fmt::format("{} {}: is a folder, not a file", option, file));
    for (const std::string& input : inputs) {
        std::error_code not_there;
        if (!input.empty() && fs::equivalent(file, input, not_there))
            throw core::UsageError(
                fmt::format("{} {}: would destroy {}, which is read; write to another file", option,
                            file, input));
    }
}

fleet::LatencyUnit unit_option(const std::string& text) {
    const auto unit = fleet::unit_named(text);
    const std::vector<std::string> known{"s", "ms", "us", "ns"};
    if (!unit) throw core::UsageError(core::unknown_name("unit", text, known));
    return *unit;
}

} // namespace hdap::cli
