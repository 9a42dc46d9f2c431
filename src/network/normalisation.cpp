#include "hdap/network/normalisation.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace hdap::network {
namespace {

[[noreturn]] void refuse(const std::string& source) {
    throw core::DataError(source + ": normalize_mean and normalize_std must have a finite number "
                                   "for each channel, the latter 1e-6 or more");
}

std::vector<double> numbers(const std::string& text, const std::string& source) {
    constexpr std::size_t longest = 1 << 20; // no image has so many channels
    if (text.size() > longest) refuse(source);
    const auto list = nlohmann::json::parse(text, nullptr, false);
    if (!list.is_array() ||
        !std::all_of(list.begin(), list.end(), [](const auto& entry) { return entry.is_number(); }))
        refuse(source);
    return list.get<std::vector<double>>();
}

} // namespace

void check_normalisation(const Normalisation& normalisation, const std::string& source) {
    const auto finite = [](double value) { return std::isfinite(value); };
    const auto usable = [](double value) { return std::isfinite(value) && value >= 1e-6; };
    const auto& [mean, deviation] = normalisation;
    if (mean.empty() || mean.size() != deviation.size() ||
        !std::all_of(mean.begin(), mean.end(), finite) ||
        !std::all_of(deviation.begin(), deviation.end(), usable))
        refuse(source);
}

Normalisation parse_normalisation(const std::string& mean, const std::string& deviation,
                                  const std::string& source) {
    Normalisation result{numbers(mean, source), numbers(deviation, source)};
    check_normalisation(result, source);
    return result;
}

std::string normalisation_text(const std::vector<double>& values) {
    return nlohmann::json(values).dump();
}

} // namespace hdap::network
