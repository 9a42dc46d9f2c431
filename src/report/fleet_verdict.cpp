#include "hdap/report/fleet_verdict.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hdap::report {
namespace {

using search::ObjectiveRegret;
using search::Regret;
using search::ViewKind;
using search::ViewRegret;

std::string percent(double share) {
    return core::significant(100.0 * share, 2);
}

/// "2.1 % (1.4 to 2.9 %)"
std::string text_of(const Regret& regret) {
    return fmt::format("{} % ({} to {} %)", percent(regret.mean), percent(regret.interval.lower),
                       percent(regret.interval.upper));
}

bool is_small(const ViewRegret& view) {
    return view.regret.interval.upper < small_regret;
}

bool is_enough(std::span<const ObjectiveRegret> regrets, std::size_t view) {
    return std::ranges::all_of(regrets,
                               [&](const ObjectiveRegret& of) { return is_small(of.views[view]); });
}

/// The objective that a view regrets most.
const ObjectiveRegret& most_regretted(std::span<const ObjectiveRegret> regrets, std::size_t view) {
    return *std::ranges::max_element(
        regrets, {}, [&](const ObjectiveRegret& of) { return of.views[view].regret.mean; });
}

FleetMatters matters_of(std::span<const ObjectiveRegret> regrets) {
    if (is_enough(regrets, 0)) return FleetMatters::no;
    const bool costs_something = std::ranges::any_of(regrets, [](const ObjectiveRegret& of) {
        const Regret& one = of.views.front().regret;
        return one.mean >= small_regret && one.interval.lower > 0.0;
    });
    return costs_something ? FleetMatters::yes : FleetMatters::unknown;
}

std::string sentence_of(std::span<const ObjectiveRegret> regrets, FleetMatters matters) {
    const ObjectiveRegret& most = most_regretted(regrets, 0);
    const ViewRegret& one = most.views.front();
    if (matters == FleetMatters::no)
        return fmt::format("The fleet does not matter here: networks that are chosen for one "
                           "device are slower over the fleet by {} at most, in {}.",
                           text_of(one.regret), most.objective);
    if (matters == FleetMatters::unknown)
        return fmt::format("Whether the fleet matters is not known: networks that are chosen for "
                           "one device are slower over the fleet by {} in {}; a larger profile "
                           "(profile.candidates) tells.",
                           text_of(one.regret), most.objective);
    return fmt::format("The fleet matters: networks that are chosen for one device are slower over "
                       "the fleet by {} in {}, by {} where the device is an unlucky choice.",
                       text_of(one.regret), most.objective, text_of(one.worst_draw));
}

std::string advice_of(const ViewRegret& enough, const ViewRegret& all) {
    const auto clusters = [](const ViewRegret& view) {
        return core::counted(view.clusters, "cluster");
    };
    if (&enough == &all) return fmt::format("Measure representatives of all {}.", clusters(all));
    if (enough.kind == ViewKind::one_device)
        return fmt::format("Any one device is enough, instead of all {}.", clusters(all));
    return fmt::format("Representatives of {} are enough, instead of all {}.",
                       search::text_of(enough.kind, enough.clusters), clusters(all));
}

} // namespace

FleetVerdict fleet_verdict(std::span<const ObjectiveRegret> regrets) {
    if (regrets.empty() || regrets.front().views.empty())
        throw core::InternalError("a verdict on a fleet without regrets");
    const std::size_t all = regrets.front().views.size() - 1;
    std::size_t enough = 0;
    // Equal weights measure as many clusters as all of them do.
    while (enough < all && (regrets.front().views[enough].kind == ViewKind::equal_weights ||
                            !is_enough(regrets, enough)))
        ++enough;
    FleetVerdict verdict;
    verdict.matters = matters_of(regrets);
    verdict.sentence = sentence_of(regrets, verdict.matters);
    verdict.enough = &regrets.front().views[enough];
    verdict.advice = advice_of(*verdict.enough, regrets.front().views[all]);
    return verdict;
}

std::string clusters_toml(const ViewRegret& view) {
    if (view.kind == ViewKind::one_device) return "[clusters]\nmethod = \"single_device\"\n";
    if (view.clusters == 1) return "[clusters]\nmethod = \"whole_fleet\"\n";
    return fmt::format("[clusters]\nmethod = \"covering\"\nmost_clusters = {}\n", view.clusters);
}

std::string regret_table(std::span<const ObjectiveRegret> regrets) {
    constexpr std::size_t name_width = 26;
    constexpr std::size_t column_width = 24;
    std::string text = core::padded_right("slower over the fleet by, %", name_width);
    for (const ObjectiveRegret& of : regrets)
        text += core::padded_left(of.objective, column_width);
    for (std::size_t v = 0; v + 1 < regrets.front().views.size(); ++v) {
        const ViewRegret& view = regrets.front().views[v];
        text += "\n" + core::padded_right(search::text_of(view.kind, view.clusters), name_width);
        for (const ObjectiveRegret& of : regrets) {
            const Regret& regret = of.views[v].regret;
            text += core::padded_left(fmt::format("{:.2f} ({:.2f} to {:.2f})", 100.0 * regret.mean,
                                                  100.0 * regret.interval.lower,
                                                  100.0 * regret.interval.upper),
                                      column_width);
        }
    }
    return text + "\n";
}

} // namespace hdap::report
