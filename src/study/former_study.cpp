#include "former_study.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/text.hpp"
#include "hdap/study/run_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>
#include <type_traits>

namespace hdap::study {
namespace {

namespace fs = std::filesystem;

constexpr const char* keep = "clusters.keep";

/// A hash of values, one after the other, each with its length.
class ContentHash {
  public:
    void add(const std::string& text) {
        add_length(text.size());
        hash_.update(std::string_view(text));
    }

    template <class T>
    void add(const std::vector<T>& values) {
        add_length(values.size());
        if constexpr (std::is_arithmetic_v<T>)
            hash_.update(std::as_bytes(std::span(values)));
        else
            for (const T& value : values)
                add(value);
    }

    std::string hex_digest() { return hash_.hex_digest(); }

  private:
    void add_length(std::size_t length) { hash_.update(fmt::format("{} ", length)); }

    core::Sha256 hash_;
};

void add_fleet(ContentHash& hash, const fleet::Fleet& fleet) {
    hash.add(fleet.sku);
    hash.add(fleet.device_ids);
    hash.add(fleet.benchmark_names);
    hash.add(fleet.latency_ms);
    hash.add(fleet.benchmark_genomes);
    for (const fleet::LatencySpread& spread : fleet.spreads) {
        hash.add(std::vector{spread.runs});
        hash.add(std::vector(spread.quantile_ms.begin(), spread.quantile_ms.end()));
    }
}

void add_clusters(ContentHash& hash, const fleet::Clustering& clustering) {
    hash.add(clustering.method);
    hash.add(std::string(name_of(clustering.metric)));
    hash.add(clustering.cluster_of_device);
    hash.add(clustering.assigned_cluster);
    hash.add(clustering.device_ratio);
    hash.add(clustering.representatives);
    const fleet::GroupingFacts& facts = clustering.facts;
    hash.add(std::vector{facts.radius, facts.eps, static_cast<double>(facts.min_points)});
    hash.add(facts.k_distance);
    for (const fleet::RadiusTrial& trial : facts.trials)
        hash.add(std::vector{trial.radius, static_cast<double>(trial.clusters), trial.errors.mean,
                             trial.errors.p95, trial.errors.slowest, trial.errors.device,
                             trial.errors.uncertainty});
}

/// What beside the settings that shape a profile says how it was measured.
std::string how_measured(const Settings& settings) {
    const fleet::SustainedLoad& load = settings.fleet.sustained;
    return fmt::format("source {}, batch {}, sustained {} s {}", settings.fleet.source,
                       settings.fleet.batch, load.seconds, load.command);
}

std::string profile_key_of(const fleet::Profile& profile, const Settings& settings) {
    ContentHash hash;
    hash.add(settings_lines(settings, core::Outputs::profile) + how_measured(settings));
    hash.add(profile.group_names);
    hash.add(profile.genomes);
    hash.add(profile.latency_ms);
    for (const auto& [quantity, values] : profile.others) {
        hash.add(std::string(fleet::row_of(quantity).name));
        hash.add(values);
    }
    return hash.hex_digest();
}

fleet::FormerClusters read_clusters(const fs::path& folder) {
    return {fleet::read_fleet(open_stage(folder / "fleet.h5", fleet::fleet_schema)),
            fleet::read_clustering(open_stage(folder / "clusters.h5", fleet::clusters_schema))};
}

void check_complete(const fs::path& folder) {
    for (const char* const file : {"config.toml", "fleet.h5", "clusters.h5", "profile.h5"})
        if (!fs::exists(folder / file))
            throw core::ConfigError(
                fmt::format("{} = \"{}\" has no {}; name the run directory of a study that has "
                            "measured its profile",
                            keep, folder.string(), file));
}

void check_network(const storage::Hdf5Reader& profile, const std::string& graph_key) {
    if (!profile.has_attribute("/", network_attribute))
        throw core::ConfigError(
            fmt::format("{}: an older hdap wrote {}, and does not say of which network; keep none "
                        "({} = \"\"), or run that study once more",
                        keep, profile.name(), keep));
    if (profile.attribute_string("/", network_attribute) != graph_key)
        throw core::ConfigError(fmt::format(
            "{}: {} was measured of another network; choose that one ([network]), or keep none "
            "({} = \"\")",
            keep, profile.name(), keep));
}

void check_other_folder(const fs::path& folder, const fs::path& run_directory) {
    if (fs::weakly_canonical(fs::absolute(folder)) ==
        fs::weakly_canonical(fs::absolute(run_directory)))
        throw core::ConfigError(fmt::format(
            "{} = \"{}\" is the run directory of this study itself; name that of the fleet as it "
            "was, or choose another one with --out",
            keep, folder.string()));
}

/// The key that a stage's output was made with; empty where there is none.
std::string key_in(const fs::path& file, const std::string& schema) {
    if (!fs::exists(file)) return "";
    const auto output = open_stage(file, schema);
    return output.has_attribute("/", kept_attribute) ? output.attribute_string("/", kept_attribute)
                                                     : "";
}

/// What is known of a study that is gone; without keys where it is still needed.
FormerStudy gone_study(const fs::path& folder, const fs::path& run_directory) {
    return {.folder = folder,
            .clusters_key = key_in(run_directory / "clusters.h5", fleet::clusters_schema),
            .profile_key = key_in(run_directory / "profile.h5", fleet::profile_schema)};
}

/// Whether all of `part` are among `all`.
bool are_among(const std::vector<network::Genome>& part, const std::vector<network::Genome>& all) {
    const std::set<network::Genome> known(all.begin(), all.end());
    return std::ranges::all_of(part, [&](const auto& genome) { return known.contains(genome); });
}

std::string missing_quantity(const Settings& settings, const Settings& there,
                             const fleet::Profile& profile) {
    for (const fleet::Quantity quantity : quantities_of(settings)) {
        if (quantity == fleet::Quantity::latency) continue;
        const std::string what(fleet::row_of(quantity).what);
        if (!profile.others.contains(quantity)) return "there are no " + what + " of them";
        const fleet::SustainedLoad& theirs = there.fleet.sustained;
        const fleet::SustainedLoad& ours = settings.fleet.sustained;
        if (quantity == fleet::Quantity::sustained_latency &&
            (theirs.seconds != ours.seconds || theirs.command != ours.command))
            return what + " were measured otherwise (latency.sustained_seconds, "
                          "latency.sustained_command)";
    }
    return "";
}

} // namespace

fs::path profile_of_former(const fs::path& run_directory) {
    return run_directory / "profile.h5";
}

FormerStudy open_former_study(const Settings& settings, const std::string& graph_key,
                              const fs::path& run_directory) {
    FormerStudy former{.folder = settings.kept_run, .clusters_key = {}, .profile_key = {}};
    check_other_folder(former.folder, run_directory);
    if (!fs::exists(former.folder)) {
        const FormerStudy gone = gone_study(former.folder, run_directory);
        if (!gone.clusters_key.empty() && !gone.profile_key.empty()) return gone;
    }
    check_complete(former.folder);
    const auto file = open_stage(profile_of_former(former.folder), fleet::profile_schema);
    check_network(file, graph_key);
    const fleet::Profile profile = fleet::read_profile(file);
    const fleet::FormerClusters clusters = read_clusters(former.folder);
    former.clusters = clusters.clustering.clusters();
    if (profile.clusters != former.clusters)
        throw core::DataError(fmt::format("{}: {} has {}, clusters.h5 beside it {}", keep,
                                          file.name(), core::counted(profile.clusters, "cluster"),
                                          former.clusters));
    ContentHash hash;
    add_fleet(hash, clusters.fleet);
    add_clusters(hash, clusters.clustering);
    former.clusters_key = hash.hex_digest();
    former.profile_key =
        profile_key_of(profile, load_settings_file(former.folder / "config.toml", {}));
    return former;
}

fleet::Clustering continued_clusters(const FormerStudy& former, const Settings& settings,
                                     const fleet::Fleet& devices) {
    try {
        return fleet::continue_clusters(devices, settings.clusters, read_clusters(former.folder));
    } catch (const core::DataError& error) {
        throw core::DataError(
            fmt::format("{} = \"{}\": {}", keep, former.folder.string(), error.what()));
    }
}

std::string why_measured_anew(const Settings& settings, const network::SearchSpace& space,
                              const fleet::Profile& profile,
                              const std::vector<network::Genome>& candidates) {
    const Settings there = load_settings_file(fs::path(settings.kept_run) / "config.toml", {});
    auto differences = setting_differences(there, settings, core::Outputs::profile);
    if (there.fleet.batch != settings.fleet.batch)
        differences.push_back(fmt::format("fleet.batch = {} there, {} here", there.fleet.batch,
                                          settings.fleet.batch));
    if (there.fleet.source != settings.fleet.source)
        differences.push_back(fmt::format("fleet.source = \"{}\" there, \"{}\" here",
                                          there.fleet.source, settings.fleet.source));
    if (!differences.empty()) return core::join(differences, "; ");
    if (const std::string missing = missing_quantity(settings, there, profile); !missing.empty())
        return missing;
    const bool has_groups = std::ranges::equal(profile.group_names, space.groups(), {}, {},
                                               &network::PruningGroup::name);
    if (!has_groups || !are_among(profile.genomes, candidates)) return "its candidates are others";
    return "";
}

} // namespace hdap::study
