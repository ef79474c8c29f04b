package io.tesseractgrpc.client;

import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.NameResolverRegistry;
import io.grpc.Status;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;

/**
 * Several addresses of one server, {@code a:1,b:2}: the first that answers is used. gRPC has no
 * name for that.
 */
final class Addresses extends NameResolverProvider {
  private static final String SCHEME = "tesseract-addresses";

  static {
    NameResolverRegistry.getDefaultRegistry().register(new Addresses());
  }

  private Addresses() {}

  /** What gRPC is told to connect to. */
  static String target(String address) {
    return address.contains(",") ? SCHEME + ":///" + address : address;
  }

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return 5;
  }

  @Override
  public String getDefaultScheme() {
    return SCHEME;
  }

  @Override
  public NameResolver newNameResolver(URI target, NameResolver.Args args) {
    if (!SCHEME.equals(target.getScheme())) {
      return null;
    }
    String[] addresses = target.getPath().substring(1).split(",");
    return new NameResolver() {
      @Override
      public String getServiceAuthority() {
        return addresses[0];
      }

      @Override
      public void start(Listener2 listener) {
        List<EquivalentAddressGroup> found = new ArrayList<>();
        try {
          for (String address : addresses) {
            URI parsed = URI.create("//" + address);
            for (InetAddress ip : InetAddress.getAllByName(parsed.getHost())) {
              SocketAddress socket = new InetSocketAddress(ip, parsed.getPort());
              found.add(new EquivalentAddressGroup(socket));
            }
          }
        } catch (UnknownHostException | IllegalArgumentException e) {
          listener.onError(
              Status.UNAVAILABLE.withDescription("an address is not known: " + e.getMessage()));
          return;
        }
        listener.onResult(
            ResolutionResult.newBuilder()
                .setAddressesOrError(io.grpc.StatusOr.fromValue(found))
                .build());
      }

      @Override
      public void shutdown() {}
    };
  }
}
