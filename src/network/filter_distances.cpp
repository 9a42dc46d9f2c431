#include "filter_distances.hpp"

#include "filter_products.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <omp.h>
#include <utility>

namespace hdap::network {
namespace {

/// Filters that are compared with as many others while both lie in a core's cache.
constexpr std::size_t tile = 16 * FilterProducts::step;
constexpr std::size_t lanes = 16;
constexpr std::size_t block = FilterProducts::block;

std::size_t rounded_up(std::size_t value, std::size_t unit) {
    return (value + unit - 1) / unit * unit;
}

/// Zeros at a multiple of 64 bytes.
class AlignedFloats {
  public:
    explicit AlignedFloats(std::size_t count)
        : values_(new (alignment) float[count]()), size_(count) {}
    [[nodiscard]] float* data() const noexcept { return values_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

  private:
    static constexpr std::align_val_t alignment{64};
    struct Delete {
        void operator()(float* values) const { ::operator delete[](values, alignment); }
    };
    std::unique_ptr<float[], Delete> values_;
    std::size_t size_;
};

/// The memory of one thread.
struct Scratch {
    AlignedFloats rows{tile * block};
    AlignedFloats columns{tile * block};
    std::vector<double> products = std::vector<double>(tile * tile);
};

/// Some filters, one after the other.
struct Range {
    std::size_t first;
    std::size_t count;
};

/// The filters of one layer.
class Layer {
  public:
    Layer(std::span<const float> filters, std::size_t count, int threads)
        : filters_(filters), count_(count), size_(filters.size() / count), threads_(threads),
          scratch_(static_cast<std::size_t>(threads)), squares_(count) {
        find_centre();
#pragma omp parallel for schedule(static) num_threads(threads_)
        for (std::size_t i = 0; i < count_; ++i)
            squares_[i] = square_of(i);
    }

    std::vector<double> sums(const std::function<void(std::int64_t)>& on_progress) {
        const std::size_t tiles = (count_ + tile - 1) / tile;
        std::vector<std::pair<std::size_t, std::size_t>> pairs;
        for (std::size_t i = 0; i < tiles; ++i)
            for (std::size_t j = i; j < tiles; ++j)
                pairs.emplace_back(i, j);
        parts_.assign(count_ * tiles, 0.0);
        std::atomic<std::int64_t> done{0};
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads_)
        for (std::size_t p = 0; p < pairs.size(); ++p) {
            compare(pairs[p].first, pairs[p].second, tiles);
            done += products_of(pairs[p].first, pairs[p].second);
            if (omp_get_thread_num() == 0 && on_progress) on_progress(done.exchange(0));
        }
        if (on_progress) on_progress(done);
        std::vector<double> result(count_, 0.0);
        for (std::size_t i = 0; i < count_; ++i) {
            for (std::size_t t = 0; t < tiles; ++t)
                result[i] += parts_[i * tiles + t];
            result[i] /= static_cast<double>(scale_);
        }
        return result;
    }

  private:
    [[nodiscard]] const float* filter(std::size_t i) const {
        return filters_.data() + i * size_;
    }
    [[nodiscard]] Scratch& scratch() {
        return scratch_[static_cast<std::size_t>(omp_get_thread_num())];
    }
    [[nodiscard]] Range range_of(std::size_t t) const {
        return {t * tile, std::min(tile, count_ - t * tile)};
    }
    [[nodiscard]] std::int64_t products_of(std::size_t i, std::size_t j) const {
        return static_cast<std::int64_t>(range_of(i).count * range_of(j).count * size_);
    }

    /// The scale that brings the largest weight to [1/2, 1), so that no square is too large or too
    /// small for a float, and the mean of the filters. Of those, distances depend on neither.
    void find_centre() {
        float largest = 0.0F;
#pragma omp parallel for schedule(static) num_threads(threads_) reduction(max : largest)
        for (std::size_t i = 0; i < filters_.size(); ++i)
            largest = std::max(largest, std::abs(filters_[i]));
        int exponent = 0;
        (void)std::frexp(largest, &exponent);
        constexpr int most = 126; // 2^-126 has a normal inverse
        scale_ = std::ldexp(1.0F, -std::clamp(exponent, -most, most));
        centre_.resize(rounded_up(size_, lanes));
#pragma omp parallel for schedule(static) num_threads(threads_)
        for (std::size_t first = 0; first < size_; first += block)
            find_centre(first, std::min(block, size_ - first));
    }

    void find_centre(std::size_t first, std::size_t length) {
        double sum[block] = {};
        for (std::size_t i = 0; i < count_; ++i)
            for (std::size_t w = 0; w < length; ++w)
                sum[w] += static_cast<double>(filter(i)[first + w]);
        const double factor = static_cast<double>(scale_) / static_cast<double>(count_);
        for (std::size_t w = 0; w < length; ++w)
            centre_[first + w] = static_cast<float>(sum[w] * factor);
    }

    /// Weights [first, first + length) of filter `i`, scaled, without the mean, and filled up with
    /// zeros to `padded`.
    void pack(std::size_t i, std::size_t first, std::size_t length, std::size_t padded,
              float* packed) const {
        const std::size_t whole = length / lanes * lanes;
        products_.pack(filter(i) + first, scale_, centre_.data() + first, whole, packed);
        if (whole == padded) return;
        float rest[lanes] = {};
        std::copy_n(filter(i) + first + whole, length - whole, rest);
        products_.pack(rest, scale_, centre_.data() + first + whole, lanes, packed + whole);
    }

    double square_of(std::size_t i) {
        const float* const packed = scratch().rows.data();
        double sum = 0.0;
        for (std::size_t first = 0; first < size_; first += block) {
            const std::size_t length = std::min(block, size_ - first);
            pack(i, first, length, rounded_up(length, lanes), scratch().rows.data());
            for (std::size_t w = 0; w < length; ++w)
                sum += static_cast<double>(packed[w]) * static_cast<double>(packed[w]);
        }
        return sum;
    }

    void pack(const Range& range, std::size_t first, std::size_t length, float* packed) const {
        const std::size_t padded = rounded_up(length, lanes);
        for (std::size_t i = 0; i < range.count; ++i)
            pack(range.first + i, first, length, padded, packed + i * padded);
    }

    /// The products of all filters of tile `i` with all of tile `j`, [rounded_up(i), (j)].
    const double* multiply(const Range& rows, const Range& columns) {
        Scratch& mine = scratch();
        const bool same = rows.first == columns.first;
        const std::size_t row_count = rounded_up(rows.count, FilterProducts::step);
        const std::size_t column_count = rounded_up(columns.count, FilterProducts::step);
        std::fill_n(mine.products.begin(), row_count * column_count, 0.0);
        for (std::size_t first = 0; first < size_; first += block) {
            const std::size_t length = std::min(block, size_ - first);
            pack(rows, first, length, mine.rows.data());
            if (!same) pack(columns, first, length, mine.columns.data());
            products_.add(mine.rows.data(), row_count,
                          same ? mine.rows.data() : mine.columns.data(), column_count,
                          rounded_up(length, lanes), mine.products.data());
        }
        return mine.products.data();
    }

    /// Adds up the distances between the filters of tile `i` and those of tile `j`.
    void compare(std::size_t i, std::size_t j, std::size_t tiles) {
        const Range rows = range_of(i);
        const Range columns = range_of(j);
        const std::size_t stride = rounded_up(columns.count, FilterProducts::step);
        const double* const products = multiply(rows, columns);
        for (std::size_t r = 0; r < rows.count; ++r)
            for (std::size_t c = 0; c < columns.count; ++c) {
                const std::size_t a = rows.first + r;
                const std::size_t b = columns.first + c;
                if (a == b) continue;
                const double apart = distance(a, b, products[r * stride + c]);
                parts_[a * tiles + j] += apart;
                if (i != j) parts_[b * tiles + i] += apart;
            }
    }

    [[nodiscard]] double distance(std::size_t a, std::size_t b, double product) const {
        constexpr double least = 1.0 / 16.0; // of the sum: the rest cancels too many digits
        const double sum = squares_[a] + squares_[b];
        const double square = sum - 2.0 * product;
        return std::sqrt(square >= least * sum ? square : square_apart(a, b));
    }

    /// The plain formula.
    [[nodiscard]] double square_apart(std::size_t a, std::size_t b) const {
        const double scale = static_cast<double>(scale_);
        double sum = 0.0;
        for (std::size_t w = 0; w < size_; ++w) {
            const double apart =
                scale * (static_cast<double>(filter(a)[w]) - static_cast<double>(filter(b)[w]));
            sum += apart * apart;
        }
        return sum;
    }

    std::span<const float> filters_; ///< [filter][weight]
    std::size_t count_;
    std::size_t size_; ///< weights of a filter
    int threads_;
    const FilterProducts& products_ = filter_products();
    std::vector<Scratch> scratch_; ///< [thread]
    float scale_ = 1.0F;
    std::vector<float> centre_;   ///< scaled, filled up with zeros
    std::vector<double> squares_; ///< of the packed filters
    std::vector<double> parts_;   ///< [filter][tile] the distances to the filters of the tile
};

} // namespace

std::vector<double> distances_to_others(const Tensor& weight, int threads,
                                        const std::function<void(std::int64_t)>& on_progress) {
    if (weight.values.empty()) return {};
    if (threads == 0) threads = omp_get_max_threads();
    return Layer(weight.values, static_cast<std::size_t>(weight.shape[0]), threads)
        .sums(on_progress);
}

std::int64_t distance_products(const Tensor& weight) {
    constexpr auto step = static_cast<std::int64_t>(tile);
    const std::int64_t count = weight.shape[0];
    const std::int64_t filter = static_cast<std::int64_t>(weight.values.size()) / count;
    std::int64_t result = 0;
    for (std::int64_t i = 0; i < count; i += step)
        result += std::min(step, count - i) * (count - i) * filter;
    return result;
}

} // namespace hdap::network
