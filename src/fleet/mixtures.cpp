#include "hdap/fleet/mixtures.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/settings.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>

namespace hdap::fleet {
namespace {

constexpr std::string_view as_seen = "as groups of a real fleet of one SKU are";
constexpr std::string_view pilot = "half of the devices are normal";

/// Rows of one device model come after those of all, which they replace.
constexpr auto mild_mixture = std::to_array<MixtureRow>({
    {"", "driver_shares", "[0.905, 0.0, 0.0, 0.07, 0.025]", as_seen},
    {"", "silicon_sigma", "0.01", "the main mode of real fleets is 1 to 2 % wide"},
    {"", "efficiency_sigma", "0.005", "shape is above noise, though not by much"},
    {"", "throttled_share", "0.01", "about 1 % of real devices is far slower"},
    {"", "throttling_mean", "0.2", "up to twice as slow"},
    {"", "capped_share", "0.0", "nobody caps clocks"},
    {"", "background_share", "0.01", "devices have one task"},
    {"", "noise_sigma", "0.004", "runs of real devices spread by 0.1 to 3 %"},
    {"", "poor_cooling_share", "0.02", "few devices are in dust"},
    {"phone", "power_mode_shares", "[0.9, 0.1]", "some save their battery"},
    {"phone", "ambient_sigma_c", "4.0", "people go out"},
    {"server_gpu", "power_mode_shares", "[1.0, 0.0]", "one operator, one power limit"},
    {"server_gpu", "silicon_sigma", "0.002", "clocks are the same; chips differ in power"},
    {"server_gpu", "memory_sigma", "4e-04", "a workload bound by memory spreads by 0.04 %"},
    {"server_gpu", "background_share", "0.0", "jobs have their GPU to themselves"},
    {"server_gpu", "efficiency_sigma", "0.002", "one driver and one library on all of them"},
    {"server_gpu", "ageing_mean", "5e-04", "clocks are kept as long as the chip lives"},
    {"server_gpu", "throttled_share", "0.0", "the slowest of 276 is 14 % slower, on convolutions"},
    {"server_gpu", "region_step_c", "2.0", "aisles of one hall"},
});

constexpr auto hostile_mixture = std::to_array<MixtureRow>({
    {"", "slow_memory_share", "0.2", pilot},
    {"", "slow_memory_factor", "0.35", "a mode that saves memory power"},
    {"", "slow_gpu_share", "0.2", pilot},
    {"", "slow_gpu_factor", "0.45", "a mode that saves GPU power"},
    {"", "slow_cpu_share", "0.1", pilot},
    {"", "slow_cpu_factor", "0.2", "launches cost five times as much"},
    {"", "throttled_share", "0.0", "heat is solved for each network"},
    {"", "capped_share", "0.0", "the slow groups are caps"},
    {"", "power_sigma", "0.08", "chips of several foundries"},
    {"", "poor_cooling_share", "0.25", "cases, dust, dead fans"},
    {"", "poor_cooling_factor", "2.2", "a closed case doubles it, dust does the rest"},
    {"", "ambient_c", "32.0", "outdoors in summer"},
    {"", "region_step_c", "8.0", "from the north to the south of a continent"},
    {"phone", "weak_supply_share", "0.2", "batteries of three years"},
    {"phone", "weak_supply_factor", "0.5", "their voltage drops under load"},
    {"phone", "poor_cooling_factor", "1.5", "a sleeve, the sun"},
    {"phone", "ambient_c", "28.0", "people go indoors when it is hot"},
    {"phone", "region_step_c", "4.0", "people go indoors when it is hot"},
    {"server_gpu", "ambient_c", "30.0", "a hall with poor air"},
    {"server_gpu", "region_step_c", "4.0", "hot and cold aisles"},
});

struct Mixture {
    std::string_view name;
    std::string_view comment;
    std::span<const MixtureRow> rows;
};

/// Another one is a row here.
constexpr std::array mixtures{
    Mixture{"standard", "the defaults", {}},
    Mixture{"mild", "as real fleets of one SKU differ", mild_mixture},
    Mixture{"hostile", "as different as devices of one SKU can be", hostile_mixture},
};

} // namespace

std::vector<std::string> mixture_names() {
    std::vector<std::string> names;
    for (const Mixture& mixture : mixtures)
        names.emplace_back(mixture.name);
    return names;
}

std::string mixtures_comment() {
    std::string comment = "Values for the keys of this section that the file leaves out";
    for (const Mixture& mixture : mixtures)
        comment += fmt::format("; {}: {}", mixture.name, mixture.comment);
    return comment;
}

std::vector<MixtureRow> mixture_rows(const std::string& mixture, const std::string& preset) {
    const auto found = std::ranges::find(mixtures, std::string_view(mixture), &Mixture::name);
    if (found == mixtures.end())
        throw core::ConfigError(core::unknown_name("mixture", mixture, mixture_names()));
    std::vector<MixtureRow> rows;
    for (const MixtureRow& row : found->rows) {
        if (!row.preset.empty() && row.preset != preset) continue;
        const auto known = std::ranges::find(rows, row.key, &MixtureRow::key);
        if (known == rows.end())
            rows.push_back(row);
        else
            *known = row;
    }
    return rows;
}

void apply_mixture(SynthesisParameters& parameters) {
    std::string toml = "[mixture]\n";
    for (const MixtureRow& row : mixture_rows(parameters.mixture, parameters.preset))
        toml += fmt::format("{} = {}\n", row.key, row.value);
    core::load_settings({{"mixture", "", settings_of(parameters)}}, toml,
                        "mixture " + parameters.mixture, {});
}

} // namespace hdap::fleet
