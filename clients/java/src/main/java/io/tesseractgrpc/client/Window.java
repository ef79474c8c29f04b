package io.tesseractgrpc.client;

import io.tesseractgrpc.v1.Expansion;
import io.tesseractgrpc.v1.NodeKey;
import java.util.List;

/**
 * A part of a result: the rows from {@code offset} on, at most {@code limit} of them.
 *
 * @param offset the number of rows to skip
 * @param limit the most rows; null for all
 * @param depth of a tree: nodes down to this depth are open (0: only the roots show); null for all
 * @param expanded of a tree: nodes that are open all the same, each the values of its key
 * @param collapsed of a tree: nodes that are closed all the same
 */
public record Window(
    long offset, Long limit, Integer depth, List<List<?>> expanded, List<List<?>> collapsed) {
  /** The whole result. */
  public static final Window ALL = new Window(0, null, null, List.of(), List.of());

  /** Copies the lists. */
  public Window {
    expanded = List.copyOf(expanded);
    collapsed = List.copyOf(collapsed);
  }

  /**
   * Some rows in a row.
   *
   * @param offset the number of rows to skip
   * @param limit the most rows
   */
  public static Window of(long offset, long limit) {
    return new Window(offset, limit, null, List.of(), List.of());
  }

  /**
   * The same rows, with nodes of a tree open down to a depth.
   *
   * @param depth 0: only the roots show
   */
  public Window open(int depth) {
    return new Window(offset, limit, depth, expanded, collapsed);
  }

  /**
   * The same, with these nodes open beside.
   *
   * @param nodes each the values of its key
   */
  public Window expand(List<List<?>> nodes) {
    return new Window(offset, limit, depth, nodes, collapsed);
  }

  /**
   * The same, with these nodes closed.
   *
   * @param nodes each the values of its key
   */
  public Window collapse(List<List<?>> nodes) {
    return new Window(offset, limit, depth, expanded, nodes);
  }

  io.tesseractgrpc.v1.Window wire() {
    io.tesseractgrpc.v1.Window.Builder window =
        io.tesseractgrpc.v1.Window.newBuilder().setOffset(offset);
    if (limit != null) {
      window.setLimit(limit);
    }
    if (depth != null || !expanded.isEmpty() || !collapsed.isEmpty()) {
      Expansion.Builder expansion = window.getExpansionBuilder();
      if (depth != null) {
        expansion.setDepth(depth);
      }
      expanded.forEach(node -> expansion.addExpanded(node(node)));
      collapsed.forEach(node -> expansion.addCollapsed(node(node)));
    }
    return window.build();
  }

  private static NodeKey node(List<?> values) {
    return NodeKey.newBuilder().addAllValues(values.stream().map(Column::valueOf).toList()).build();
  }
}
