#include "hdap/study/open_on_every_rank.hpp"

#include "hdap/storage/sealed_file.hpp"

#include <optional>

namespace hdap::study {

storage::Hdf5Reader open_on_every_rank(const parallel::Communicator& communicator,
                                       const std::string& file) {
    std::vector<std::byte> bytes;
    communicator.on_root([&] { bytes = storage::read_sealed(file, storage::Seal::optional); });
    communicator.broadcast(bytes);
    std::optional<storage::Hdf5Reader> reader;
    communicator.on_every_rank(
        [&] { reader.emplace(storage::Hdf5Reader::from_bytes(std::move(bytes), file)); });
    return std::move(*reader);
}

} // namespace hdap::study
