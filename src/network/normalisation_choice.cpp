#include "hdap/network/normalisation_choice.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::network {
namespace {

/// Throws unless `values` are for so many channels, and such as pixels up to `scale` can have.
void check_list(const char* name, const std::vector<double>& values, std::int64_t channels,
                double scale) {
    if (values.size() > 1 && static_cast<std::int64_t>(values.size()) != channels)
        throw core::ConfigError(
            fmt::format("data.{0} (--{0}) has {1} numbers, but the network "
                        "takes images with {2}; give one number, or one for each",
                        name, values.size(), core::counted(channels, "channel")));
    for (const double value : values)
        if (std::abs(value) > 2.0 * scale)
            throw core::ConfigError(fmt::format(
                "data.{0} (--{0}) is {1}, but a full pixel has the value {2}; where the network "
                "takes pixels of 0 to 255, set data.scale (--scale) to 255",
                name, core::shortest(value), core::shortest(scale)));
}

/// One value per channel, of pixel/255.
std::vector<double> spread(const std::vector<double>& values, std::int64_t channels, double scale) {
    std::vector<double> result(static_cast<std::size_t>(channels));
    for (std::size_t c = 0; c < result.size(); ++c)
        result[c] = values[values.size() == 1 ? 0 : c] / scale;
    return result;
}

void check_order(ChannelOrder order, std::int64_t channels) {
    if (order == ChannelOrder::bgr && channels != 3)
        throw core::ConfigError(fmt::format("data.channels (--channels) is bgr, but the network "
                                            "takes images with {} instead of 3",
                                            core::counted(channels, "channel")));
}

void check_deviation(const std::vector<double>& deviation) {
    const double least = *std::min_element(deviation.begin(), deviation.end());
    if (!(least >= 1e-6))
        throw core::ConfigError(fmt::format("data.std (--std) over data.scale (--scale) is {}, "
                                            "must be 1e-6 or more",
                                            core::shortest(least)));
}

bool about_equal(const std::vector<double>& a, const std::vector<double>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) {
        return std::abs(x - y) <= 1e-6 * (std::abs(x) + std::abs(y)) + 1e-12;
    });
}

} // namespace

Normalisation choose_normalisation(const NormalisationChoice& choice, const Normalisation& files,
                                   std::int64_t channels) {
    const bool scaled = choice.scale > 0.0;
    const double scale = scaled ? choice.scale : 1.0;
    check_list("mean", choice.mean, channels, scale);
    check_list("std", choice.deviation, channels, scale);
    Normalisation result = files;
    result.order = choice.order.value_or(files.order);
    check_order(result.order, channels);
    if (result.order != files.order) {
        std::reverse(result.mean.begin(), result.mean.end());
        std::reverse(result.deviation.begin(), result.deviation.end());
    }
    if (scaled || !choice.mean.empty())
        result.mean = spread(choice.mean.empty() ? std::vector{0.0} : choice.mean, channels, scale);
    if (scaled || !choice.deviation.empty())
        result.deviation =
            spread(choice.deviation.empty() ? std::vector{1.0} : choice.deviation, channels, scale);
    check_deviation(result.deviation);
    return result;
}

std::optional<Normalisation> choose_normalisation(const NormalisationChoice& choice,
                                                  const std::optional<Normalisation>& told,
                                                  const std::optional<Normalisation>& own,
                                                  std::int64_t channels) {
    const std::optional<Normalisation>& files = told ? told : own;
    if (choice == NormalisationChoice()) return files;
    return choose_normalisation(choice, files.value_or(no_normalisation(channels)), channels);
}

Normalisation no_normalisation(std::int64_t channels) {
    const auto count = static_cast<std::size_t>(channels);
    return {std::vector(count, 0.0), std::vector(count, 1.0)};
}

std::string conflict(const Normalisation& chosen, const Normalisation& file,
                     const std::string& name) {
    if (chosen.order == file.order && about_equal(chosen.mean, file.mean) &&
        about_equal(chosen.deviation, file.deviation))
        return "";
    return fmt::format("images: normalised as settings or options say, {}; '{}' says {}",
                       described(chosen), name, described(file));
}

std::vector<core::Setting> settings_of(NormalisationChoice& choice) {
    constexpr auto shapes = core::Outputs::search | core::Outputs::accuracies;
    using Order = std::optional<ChannelOrder>;
    return {core::real_list("mean", choice.mean, {-1e6, 1e6},
                            "The network takes (pixel * scale / 255 - mean) / std. One number, or "
                            "one per channel as the network takes them; empty: as the network's "
                            "file says, else the images'",
                            shapes),
            core::real_list("std", choice.deviation, {0.0, 1e6, true}, "The same", shapes),
            core::real("scale", choice.scale, {0.0, 65'535.0},
                       "Value of a full pixel: 1, or 255 for a network that takes 0 to 255; an "
                       "empty mean is then 0, an empty std 1. 0: as the files say",
                       shapes),
            core::choice("channels", choice.order,
                         {{"auto", Order()},
                          {"rgb", Order(ChannelOrder::rgb)},
                          {"bgr", Order(ChannelOrder::bgr)}},
                         "Order in which the network takes the colours; auto: as its file says, "
                         "else rgb",
                         shapes)};
}

} // namespace hdap::network
