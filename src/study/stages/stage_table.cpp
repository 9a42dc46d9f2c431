#include "stage_table.hpp"

#include "hdap/core/hash.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/profile.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/study/results.hpp"
#include "hdap/surrogate/surrogate.hpp"
#include "rounds.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace hdap::study {
namespace {

using core::Outputs;

constexpr std::array<Stage, 0> nothing{};
constexpr std::array clusters_inputs{Stage::fleet};
constexpr std::array profile_inputs{Stage::fleet, Stage::clusters};
constexpr std::array surrogates_inputs{Stage::profile};
constexpr std::array search_inputs{Stage::clusters, Stage::surrogates};
constexpr std::array networks_inputs{Stage::search};
constexpr std::array report_inputs{Stage::fleet, Stage::clusters, Stage::search, Stage::finetune};

// clang-format off
constexpr std::array rows{
    StageRow{"fleet", Stage::fleet, "fleet.h5", fleet::fleet_schema, Outputs::fleet,
             nothing, true, make_fleet},
    StageRow{"clusters", Stage::clusters, "clusters.h5", fleet::clusters_schema, Outputs::clusters,
             clusters_inputs, true, make_clusters},
    StageRow{"profile", Stage::profile, "profile.h5", fleet::profile_schema, Outputs::profile,
             profile_inputs, true, make_profile},
    StageRow{"surrogates", Stage::surrogates, "surrogates.h5", surrogate::surrogates_schema,
             Outputs::surrogates, surrogates_inputs, true, make_surrogates},
    StageRow{"search", Stage::search, "search.h5", search::search_schema, Outputs::search,
             search_inputs, false, make_search},
    StageRow{"finetune", Stage::finetune, "networks", network::network_schema, Outputs::networks,
             networks_inputs, false, make_networks},
    StageRow{"report", Stage::report, "results.h5", results_schema,
             Outputs::results | Outputs::search_length, report_inputs, false, make_report},
};
// clang-format on

std::string hash_of(const std::string& text) {
    return core::sha256_hex(std::string_view(text));
}

/// The settings that shape `outputs`, and the graph that they are about.
std::string config_text(const StudyRun& run, Outputs outputs, const std::string& graph_key) {
    return settings_lines(run.settings(), outputs) + graph_key;
}

/// What else than the usual latency the study needs, and how it is measured: the profiles of other
/// studies are the same whatever these settings say.
std::string others_key(const Settings& settings) {
    const auto quantities = quantities_of(settings);
    const auto asks = [&](fleet::Quantity quantity) {
        return std::ranges::find(quantities, quantity) != quantities.end();
    };
    std::string key;
    const fleet::SustainedLoad& load = settings.fleet.sustained;
    if (asks(fleet::Quantity::sustained_latency))
        key += fmt::format("sustained {} s {}", load.seconds, load.command);
    if (asks(fleet::Quantity::energy)) key += "energy";
    return key;
}

/// What a stage reads that no stage made.
std::string outside_key(const StudyRun& run, Stage stage) {
    if (stage == Stage::fleet) return run.inputs.source->identity();
    if (stage == Stage::search) return run.content_key;
    const auto& former = run.inputs.former;
    if (stage == Stage::clusters) return former ? former->clusters_key : "";
    if (stage != Stage::profile) return "";
    // A round may only choose a part of the genomes, and measures these.
    return (is_of_each_round(run.settings(), stage) ? fmt::format("from {}", run.space.smallest())
                                                    : "") +
           others_key(run.settings()) + (former ? former->profile_key : "");
}

} // namespace

std::span<const StageRow> stage_table() {
    return rows;
}

const StageRow& row_of(Stage stage) {
    return rows.at(static_cast<std::size_t>(stage));
}

std::string name_of(Stage stage) {
    return std::string(row_of(stage).name);
}

storage::FileIdentity identity_of(const StudyRun& run, Stage stage) {
    const StageRow& row = row_of(stage);
    std::string inputs = outside_key(run, stage);
    for (const Stage input : row.inputs)
        inputs += identity_key(identity_of(run, input));
    const std::string& graph_key =
        is_of_each_round(run.settings(), stage) ? run.graph_key : run.inputs.graph_key;
    return {row.schema, hash_of(config_text(run, row.output, graph_key)),
            inputs.empty() ? "" : hash_of(inputs)};
}

storage::FileIdentity network_identity(const StudyRun& run, const network::Genome& genome) {
    storage::FileIdentity identity = identity_of(run, Stage::finetune);
    identity.config_sha256 = hash_of(fmt::format("{} {}", identity.config_sha256, genome));
    return identity;
}

storage::FileIdentity accuracies_identity(const StudyRun& run) {
    std::string text =
        config_text(run, Outputs::accuracies, run.graph_key) + run.evaluator->identity();
    if (run.settings().network.criterion == network::Criterion::random)
        text += fmt::format("study.seed = {}", run.settings().seed);
    return {accuracies_schema, hash_of(text), run.content_key};
}

} // namespace hdap::study
