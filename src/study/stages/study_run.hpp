#pragma once

#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/fleet/latency_source.hpp"
#include "hdap/report/study_report.hpp"
#include "hdap/search/search_run.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/study.hpp"
#include "study/former_study.hpp"
#include "study/inputs.hpp"
#include "study/store.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// What one call of run_study works on. Private to the module.
namespace hdap::study {

/// A network chosen to be fine-tuned.
struct Selection {
    std::string id; ///< "front-03", "uniform-03", "round-03"
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

/// How a round ends.
enum class RoundEnd {
    goes_on,     ///< the next round starts from the chosen network
    target_met,  ///< by the chosen network
    last_round,  ///< there are no more, and no target was met
    no_progress, ///< nothing smaller than what it started from was chosen
};

/// What one call of run_study has for all rounds. The same on every rank, but for what is said to
/// live on the root.
struct StudyInputs {
    const parallel::Job& job;
    const StudyRequest& request;
    network::Prunable network; ///< the study's own
    std::string graph_key;     ///< hash of its graph
    AccuracyInputs accuracy;   ///< for the search and what follows it
    std::unique_ptr<fleet::LatencySource> source;

    // On the root.
    std::optional<RunDirectory> directory;
    std::optional<Store> store;              ///< where there is one
    std::optional<FormerStudy> former;       ///< whose clusters are kept, where there is one
    std::vector<report::NetworkRow> rounds;  ///< what they chose, so far
    std::int64_t reported_round = 0;         ///< the last one with a report; 0: none
    search::GenerationCost searched;         ///< by the searches that were reported, together
    std::optional<double> unpruned_accuracy; ///< from the first search on
};

/// A round of a study, as its stages share it; most studies have one. The same on every rank, but
/// for what is said to live on the root.
struct StudyRun {
    StudyInputs& inputs;
    const parallel::Job& job;
    std::int64_t round;               ///< from 1
    const network::Prunable& network; ///< what the round starts from: in the first, the own one
    network::SearchSpace space;       ///< what it may choose
    std::string graph_key;            ///< hash of the network's graph
    std::string content_key;          ///< hash of its weights and the images

    // For the search and what follows it.
    std::unique_ptr<accuracy::CandidateEvaluator> evaluator; ///< null: accuracies play no part
    std::optional<search::SearchProblem> problem;            ///< from the search on
    RoundEnd end = RoundEnd::last_round;                     ///< from fine-tuning on

    // On the root.
    search::SearchState found{{}};           ///< from the search on
    std::vector<FinetunedNetwork> finetuned; ///< from fine-tuning on

    [[nodiscard]] const Settings& settings() const noexcept { return inputs.request.settings; }
    [[nodiscard]] const parallel::Communicator& communicator() const noexcept {
        return job.communicator;
    }
    /// The study's own network, which the fleet, constraints and reports go by.
    [[nodiscard]] const network::Prunable& own() const noexcept { return inputs.network; }
    [[nodiscard]] const ImageSplits& images() const noexcept { return inputs.accuracy.images; }
    /// A file of the round. Only the root touches it.
    [[nodiscard]] std::filesystem::path file(const std::string& name) const;
    /// The output of a stage. Only the root touches it.
    [[nodiscard]] std::filesystem::path output(Stage stage) const;
};

/// What a study's surrogates predict: candidates of its own network, whatever its rounds do.
surrogate::PredictedNetwork predicted_network(const StudyRun& run);

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

/// Makes the report and the results of the last round that has some those of the study. On the
/// root.
void publish_report(const StudyInputs& inputs);

/// What is known of a network without measuring its accuracy.
search::CandidateFacts predicted_facts(const search::SearchProblem& problem,
                                       const network::Genome& genome);

/// The networks to be fine-tuned: those of the front that keep most of its hypervolume, as far as
/// there are some of such as are not known to break a constraint on the devices, and for
/// each the uniform width of about the same predicted latency. On the root.
std::vector<Selection> select_networks(const StudyRun& run);

} // namespace hdap::study
