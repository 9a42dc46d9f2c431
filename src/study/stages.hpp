#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/search/nsga2_search.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/study/results.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/study.hpp"
#include "hdap/surrogate/cluster_surrogates.hpp"
#include "store.hpp"

#include <optional>
#include <string>
#include <vector>

/// The stages of run_study, private to the module.
namespace hdap::study {

/// What every stage works on: the same on every rank.
struct Workpiece {
    network::Network network;
    network::Weights weights;
    std::optional<network::Normalisation> normalisation; ///< where the weights' file tells it
    network::SearchSpace space;
    network::CostModel costs;
    std::vector<std::vector<std::int32_t>> ranked_channels; ///< by network.criterion
    accuracy::ImageData train; ///< without the held-out images; empty, as the others, without data
    accuracy::ImageData held_out;
    accuracy::ImageData test;
    std::string graph_key;  ///< hash of the network's graph
    std::string inputs_key; ///< hash of weights and images, by content
};

/// What the data set's images are like.
struct ImageKind {
    network::TensorShape shape;
    std::int64_t classes = 0;
};

/// The network that the settings name, for such images; without them, as it is or was published.
network::NetworkSource network_source(const Settings& settings,
                                      const std::optional<ImageKind>& images);

/// Reads network, weights and images on the root and gives them to every rank. Collective.
Workpiece load_workpiece(const StudyContext& context);

/// What identifies each stage's output.
struct StageIdentities {
    storage::FileIdentity fleet;
    storage::FileIdentity clusters;
    storage::FileIdentity profile;
    storage::FileIdentity surrogates;
    storage::FileIdentity search;
    storage::FileIdentity accuracies; ///< of candidates, whichever search asked for them
    storage::FileIdentity networks;
    storage::FileIdentity results;
};
StageIdentities stage_identities(const Settings& settings, const Workpiece& workpiece);

/// The cheap stages, on the root: each makes its output from those before it.
void make_fleet(const StudyContext& context, const Workpiece& workpiece, const RunDirectory& run,
                const storage::FileIdentity& identity);
void make_clusters(const StudyContext& context, const RunDirectory& run,
                   const storage::FileIdentity& identity);
void make_profile(const StudyContext& context, const Workpiece& workpiece, const RunDirectory& run,
                  const storage::FileIdentity& identity);
void make_surrogates(const StudyContext& context, const RunDirectory& run,
                     const storage::FileIdentity& identity);

/// The true latencies of candidates on a synthetic fleet: devices are simulated one by one, without
/// noise. What predictions are held against.
class FleetSimulation {
  public:
    /// Of a large fleet, 20,000 evenly spread devices stand for all.
    FleetSimulation(const Settings& settings, const Workpiece& workpiece,
                    const fleet::Fleet& fleet);

    /// Latency of a candidate on each simulated device, in ms. Complexity: devices · layers.
    [[nodiscard]] std::vector<double> device_latencies_ms(const network::Genome& genome) const;

    /// Their mean.
    [[nodiscard]] double mean_latency_ms(const network::Genome& genome) const;

    /// The simulated devices: indices into the fleet, ascending.
    [[nodiscard]] const std::vector<std::size_t>& devices() const noexcept { return devices_; }

  private:
    const Workpiece& workpiece_;
    fleet::DeviceModel model_;
    std::int64_t batch_;
    std::vector<std::size_t> devices_;
    std::vector<fleet::DeviceCondition> conditions_;
};

/// The search and all that it found.
struct SearchResult {
    search::SearchOutcome outcome = search::SearchOutcome::stopped;
    search::SearchState state; ///< on the root
};

/// The search problem of a study, on every rank. Collective. `run` is null but on the root.
search::SearchProblem make_problem(const StudyContext& context, const Workpiece& workpiece,
                                   const RunDirectory* run);

/// Searches, or goes on from a checkpoint; accuracies in the store, if there is one, need not be
/// measured again, and those that were measured are added to it. Collective. `run` and `store` are
/// null but on the root.
SearchResult run_search(const StudyContext& context, const search::SearchProblem& problem,
                        const RunDirectory* run, const Store* store, const StageIdentities& ids);

/// A network chosen to be fine-tuned.
struct Selection {
    std::string id; ///< "front-03", "uniform-03"
    network::Genome genome;
};

/// Those of the front that keep most of its hypervolume, and for each the uniform width of about
/// the same latency. On the root.
std::vector<Selection> select_networks(const search::SearchProblem& problem,
                                       const search::EvaluationLog& log, std::int64_t count);

/// What fine-tuning gave.
struct FinetunedNetwork {
    std::string id;
    network::Genome genome;
    double held_out_accuracy = 0.0;           ///< before fine-tuning
    double finetuned_held_out_accuracy = 0.0; ///< after it
    double test_accuracy = 0.0;               ///< after it
};

/// Fine-tunes the selected networks, each on one thread, dynamically over all ranks; a network
/// whose file is there is not trained again. Returns nothing when stopped early. Collective.
std::optional<std::vector<FinetunedNetwork>> run_finetune(const StudyContext& context,
                                                          const Workpiece& workpiece,
                                                          std::vector<Selection> selection,
                                                          const RunDirectory* run,
                                                          const storage::FileIdentity& identity);

/// Writes results.h5, unless it is there. On the root.
void ensure_results(const StudyContext& context, const Workpiece& workpiece,
                    const RunDirectory& run, const search::SearchProblem& problem,
                    const search::SearchState& state,
                    const std::vector<FinetunedNetwork>& finetuned,
                    const storage::FileIdentity& identity);

/// Writes front.csv and report.html and returns the table for the terminal. On the root.
std::string make_report(const StudyContext& context, const Workpiece& workpiece,
                        const RunDirectory& run, const search::SearchProblem& problem,
                        const search::SearchState& state,
                        const std::vector<FinetunedNetwork>& finetuned);

} // namespace hdap::study
