#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/profile.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/study/settings.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

/// What a study takes over from one of its fleet as it was (clusters.keep). Private to the module.
namespace hdap::study {

/// Root attribute of profile.h5: a hash of the graph whose candidates were measured.
inline constexpr const char* network_attribute = "network_sha256";

/// Root attribute of clusters.h5 and profile.h5: the key of what they were made with of a former
/// study, so that this one is not needed any more once they are there.
inline constexpr const char* kept_attribute = "kept_sha256";

/// A study that has measured its profile.
struct FormerStudy {
    std::filesystem::path folder;
    std::size_t clusters = 0;
    std::string clusters_key; ///< stands for its fleet and its clusters, by content
    std::string profile_key;  ///< stands for what it measured, and how
};

/// The study that `settings.kept_run` names; `run_directory` is that of the study that asks. On the
/// root. Where it is gone, and the study that asks has clusters and a profile, only the keys are
/// known, from these. Throws ConfigError where it is the same one, is incomplete, or is of another
/// network than the one with this hash; CorruptFileError and DataError for files that are damaged,
/// or do not fit each other.
FormerStudy open_former_study(const Settings& settings, const std::string& graph_key,
                              const std::filesystem::path& run_directory);

/// The clusters of `devices`, those of the former study that still describe them among them. On the
/// root. Throws as fleet::continue_clusters.
fleet::Clustering continued_clusters(const FormerStudy& former, const Settings& settings,
                                     const fleet::Fleet& devices);

/// The file of a study's profile.
std::filesystem::path profile_of_former(const std::filesystem::path& run_directory);

/// Why latencies of a former study's profile do not count in one of `settings` that measures
/// `candidates`, as the end of a sentence; empty where they do: it has some of these candidates,
/// all quantities that the study needs, and was measured by the same source, with the same batch,
/// runs, seed and command. On the root.
std::string why_measured_anew(const Settings& settings, const network::SearchSpace& space,
                              const fleet::Profile& profile,
                              const std::vector<network::Genome>& candidates);

} // namespace hdap::study
