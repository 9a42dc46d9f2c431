#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/normalisation_choice.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/storage/hdf5.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// What the commands of `hdap network` share: the network that they take, and what they write.
namespace hdap::cli {

/// Which network, and what it takes. Of a file, channels count only with an image size.
struct SourceOptions {
    const CLI::App* command = nullptr; ///< knows which options were given
    network::NetworkSource source;
    std::vector<std::int64_t> image_size; ///< one number, or height and width
    std::optional<std::int64_t> channels;
    network::NormalisationChoice normalisation;
};

/// NETWORK and what says more of it; `needs_weights` adds how its images are normalised.
void add_source_options(CLI::App& command, SourceOptions& options, bool needs_weights);

/// --divisor, --min-channels, --pin.
void add_space_options(CLI::App& command, network::SearchSpaceParameters& space);

/// --out: files of networks.
void add_output_option(CLI::App& command, std::vector<std::string>& outputs);

/// Throws UsageError unless every output is a file of a known format that destroys neither
/// `network` nor the images `data`.
void check_outputs(const std::vector<std::string>& outputs, const SourceOptions& network,
                   const std::string& data = {});

/// Throws UsageError for options that do not fit the network, and as network::load_network.
network::LoadedNetwork load_network(const SourceOptions& options);

struct TrainedNetwork {
    network::PrunedNetwork network;
    std::optional<network::Normalisation> normalisation; ///< of its images, where somebody says it
};

/// The network, and the normalisation that the options say, the rest as its file says. Throws
/// UsageError where it has no weights.
TrainedNetwork load_with_weights(const SourceOptions& options);

/// The network, and `images` as it takes them; where nobody says a normalisation, they keep that of
/// their `file`. Of a network of the zoo, they say what it takes. Throws DataError where it takes
/// others.
TrainedNetwork load_for(accuracy::ImageData& images, const std::string& file,
                        SourceOptions& options);

/// A packed file whose seal was checked. It stays on the disk: its bytes need not fit into memory
/// beside the images.
storage::Hdf5Reader open_images(const std::string& file);

/// "12.3 M MACs, 0.27 M parameters (1.08 MB), peak activations 0.5 MB per image"
std::string totals_text(const network::NetworkCosts& costs);

} // namespace hdap::cli
