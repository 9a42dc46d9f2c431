#include "hdap/network/normalisation.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>
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

std::string list_text(const std::vector<double>& values) {
    std::vector<std::string> words;
    for (const double value : values)
        words.push_back(core::significant(value));
    return fmt::format("[{}]", core::join(words));
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

std::string_view channel_order_name(ChannelOrder order) noexcept {
    return order == ChannelOrder::bgr ? "bgr" : "rgb";
}

void check_normalisation(const Normalisation& normalisation, const std::string& source) {
    const auto finite = [](double value) { return std::isfinite(value); };
    const auto usable = [](double value) { return std::isfinite(value) && value >= 1e-6; };
    const auto& [mean, deviation, order] = normalisation;
    if (mean.empty() || mean.size() != deviation.size() ||
        !std::all_of(mean.begin(), mean.end(), finite) ||
        !std::all_of(deviation.begin(), deviation.end(), usable))
        refuse(source);
    if (order == ChannelOrder::bgr && mean.size() != 3)
        throw core::DataError(fmt::format("{}: {} is bgr, but {} is of {} instead of 3", source,
                                          order_key, mean_key,
                                          core::counted(mean.size(), "channel")));
}

Normalisation parse_normalisation(const std::string& mean, const std::string& deviation,
                                  const std::string& order, const std::string& source) {
    Normalisation result{numbers(mean, source), numbers(deviation, source),
                         parse_channel_order(order, source)};
    check_normalisation(result, source);
    return result;
}

ChannelOrder parse_channel_order(const std::string& name, const std::string& source) {
    if (name.empty() || name == "rgb") return ChannelOrder::rgb;
    if (name == "bgr") return ChannelOrder::bgr;
    throw core::DataError(fmt::format("{}: {} is '{}', must be rgb or bgr", source, order_key,
                                      core::printable(name.substr(0, 32))));
}

std::string normalisation_text(const std::vector<double>& values) {
    return nlohmann::json(values).dump();
}

std::vector<std::pair<std::string, std::string>>
normalisation_entries(const Normalisation& normalisation) {
    std::vector<std::pair<std::string, std::string>> entries{
        {mean_key, normalisation_text(normalisation.mean)},
        {deviation_key, normalisation_text(normalisation.deviation)}};
    if (normalisation.order != ChannelOrder::rgb)
        entries.emplace_back(order_key, channel_order_name(normalisation.order));
    return entries;
}

std::string described(const Normalisation& normalisation) {
    const auto& [mean, deviation, order] = normalisation;
    return fmt::format("(pixel / 255 - {}) / {}{}", list_text(mean), list_text(deviation),
                       order == ChannelOrder::rgb ? "" : ", channels bgr");
}

} // namespace hdap::network
