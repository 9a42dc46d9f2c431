#pragma once

#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/fleet/latency_source.hpp"
#include "hdap/search/search_run.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/study.hpp"
#include "study/inputs.hpp"
#include "study/store.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

/// What one call of run_study works on. Private to the module.
namespace hdap::study {

/// A network chosen to be fine-tuned.
struct Selection {
    std::string id; ///< "front-03", "uniform-03"
    network::Genome genome;
};

/// What fine-tuning gave.
struct FinetunedNetwork {
    std::string id;
    network::Genome genome;
    double held_out_accuracy = 0.0;           ///< before fine-tuning
    double finetuned_held_out_accuracy = 0.0; ///< after it
    double test_accuracy = 0.0;               ///< after it
};

/// The study of one call of run_study, as its stages share it. The same on every rank, but for what
/// is said to live on the root.
struct StudyRun {
    const parallel::Job& job;
    const StudyRequest& request;
    network::Prunable network;
    std::string graph_key; ///< hash of the network's graph
    std::unique_ptr<fleet::LatencySource> source;

    // For the search and what follows it.
    AccuracyInputs accuracy;
    std::unique_ptr<accuracy::CandidateEvaluator> evaluator; ///< null: accuracies play no part
    std::optional<search::SearchProblem> problem;            ///< from the search on

    // On the root.
    std::optional<RunDirectory> directory;
    std::optional<Store> store;              ///< where there is one
    search::SearchState found{{}};           ///< from the search on
    std::vector<FinetunedNetwork> finetuned; ///< from fine-tuning on

    [[nodiscard]] const Settings& settings() const noexcept { return request.settings; }
    [[nodiscard]] const parallel::Communicator& communicator() const noexcept {
        return job.communicator;
    }
    /// A file of the run directory. On the root.
    [[nodiscard]] std::filesystem::path file(const std::string& name) const {
        return *directory / name;
    }
};

/// What identifies the output of a stage, of all networks but for their genomes, or of all results.
storage::FileIdentity identity_of(const StudyRun& run, Stage stage);

/// What identifies a fine-tuned network.
storage::FileIdentity network_identity(const StudyRun& run, const network::Genome& genome);

/// What identifies the accuracies of candidates, whichever search asked for them.
storage::FileIdentity accuracies_identity(const StudyRun& run);

/// The algorithm of the study's search, which nothing was asked of. Throws ConfigError where it
/// cannot search this network, or not for these objectives.
std::unique_ptr<search::Algorithm> make_algorithm(const StudyRun& run);

// The stages. Each makes its output from those before it, and goes on where an earlier job stopped.
// Returns false when it was asked to stop, with everything kept. Collective.
bool make_fleet(StudyRun& run);
bool make_clusters(StudyRun& run);
bool make_profile(StudyRun& run);
bool make_surrogates(StudyRun& run);
bool make_search(StudyRun& run);
bool make_networks(StudyRun& run);
bool make_report(StudyRun& run);

/// What is known of a network without measuring its accuracy.
search::CandidateFacts predicted_facts(const search::SearchProblem& problem,
                                       const network::Genome& genome);

/// The networks to be fine-tuned: those of the front that keep most of its hypervolume, as far as
/// there are some of such as are not known to break a constraint on the devices, and for
/// each the uniform width of about the same predicted latency. On the root.
std::vector<Selection> select_networks(const StudyRun& run);

} // namespace hdap::study
