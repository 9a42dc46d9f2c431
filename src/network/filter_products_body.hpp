// filter_products.hpp for vectors of HDAP_VECTOR_BYTES, HDAP_ROWS × HDAP_COLUMNS products at a time
// in registers. Files that include this are compiled for different processors: nothing here may
// come from the standard library's templates, or the linker could give one processor another one's
// code.
#include "filter_products.hpp"

namespace hdap::network {
namespace {

constexpr std::size_t lanes = 16;
constexpr std::size_t vector_lanes = HDAP_VECTOR_BYTES / sizeof(float);
constexpr int parts = lanes / vector_lanes; // vectors that hold all lanes

typedef float Vector __attribute__((vector_size(HDAP_VECTOR_BYTES)));

inline const Vector& load(const float* values) {
    return *reinterpret_cast<const Vector*>(values);
}

void pack(const float* weights, float scale, const float* centre, std::size_t length,
          float* packed) {
    constexpr float least = 0x1p-60F;
    const Vector zero{};
    for (std::size_t i = 0; i < length; i += vector_lanes) {
        Vector weight;
        Vector middle;
        __builtin_memcpy(&weight, weights + i, sizeof(Vector));
        __builtin_memcpy(&middle, centre + i, sizeof(Vector));
        const Vector difference = weight * scale - middle;
        const Vector magnitude = difference < zero ? -difference : difference;
        *reinterpret_cast<Vector*>(packed + i) = magnitude < least ? zero : difference;
    }
}

typedef float Eight __attribute__((vector_size(32), may_alias));
typedef float Four __attribute__((vector_size(16), may_alias));

inline float sum_of_lanes(const Vector* vectors) {
    const auto* const eights = reinterpret_cast<const Eight*>(vectors);
    const Eight eight = eights[0] + eights[1];
    const auto* const fours = reinterpret_cast<const Four*>(&eight);
    const Four four = fours[0] + fours[1];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

inline void add_tile(const float* rows, const float* columns, std::size_t length, double* sums,
                     std::size_t stride) {
    alignas(64) Vector sum[HDAP_ROWS][HDAP_COLUMNS][parts] = {};
    for (std::size_t i = 0; i < length; i += lanes)
#pragma GCC unroll 4
        for (int part = 0; part < parts; ++part) {
            const std::size_t at = i + static_cast<std::size_t>(part) * vector_lanes;
            Vector column[HDAP_COLUMNS];
#pragma GCC unroll 8
            for (std::size_t c = 0; c < HDAP_COLUMNS; ++c)
                column[c] = load(columns + c * length + at);
#pragma GCC unroll 8
            for (std::size_t r = 0; r < HDAP_ROWS; ++r) {
                const Vector row = load(rows + r * length + at);
#pragma GCC unroll 8
                for (std::size_t c = 0; c < HDAP_COLUMNS; ++c)
                    sum[r][c][part] += row * column[c];
            }
        }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < HDAP_ROWS; ++r)
#pragma GCC unroll 8
        for (std::size_t c = 0; c < HDAP_COLUMNS; ++c)
            sums[r * stride + c] += static_cast<double>(sum_of_lanes(sum[r][c]));
}

void add(const float* rows, std::size_t row_count, const float* columns, std::size_t column_count,
         std::size_t length, double* sums) {
    static_assert(FilterProducts::step % HDAP_ROWS == 0);
    static_assert(FilterProducts::step % HDAP_COLUMNS == 0);
    for (std::size_t r = 0; r < row_count; r += HDAP_ROWS)
        for (std::size_t c = 0; c < column_count; c += HDAP_COLUMNS)
            add_tile(rows + r * length, columns + c * length, length, sums + r * column_count + c,
                     column_count);
}

constexpr FilterProducts products{pack, add};

} // namespace
