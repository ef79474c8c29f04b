package io.tesseractgrpc.client;

import java.io.File;
import java.time.Duration;

/**
 * How to reach a server. Every setter returns this; {@code connect} takes a copy, so options may be
 * used again.
 */
public final class ConnectOptions implements Cloneable {
  String hub = "default";
  String token;
  boolean tls;
  File authorities;
  File certificate;
  File certificateKey;
  String serverName;
  Duration timeout = Duration.ofSeconds(30);
  Duration keepAlive = Duration.ofSeconds(8);
  Duration keepAliveTimeout = Duration.ofSeconds(4);
  int attempts = 4;
  Duration initialBackoff = Duration.ofMillis(100);
  Duration maxBackoff = Duration.ofSeconds(5);
  Duration giveUpAfter;
  int maxMessageBytes = 64 * 1024 * 1024;

  /** The defaults: hub {@code default}, no token, no encryption. */
  public ConnectOptions() {}

  /**
   * The hub.
   *
   * @param id its id; default: {@code default}
   */
  public ConnectOptions hub(String id) {
    hub = id;
    return this;
  }

  /** The token that goes with every call. Without {@link #tls()} it travels unencrypted. */
  public ConnectOptions token(String token) {
    this.token = token;
    return this;
  }

  /**
   * Encryption, with a server whose certificate is signed by an authority that this Java trusts.
   */
  public ConnectOptions tls() {
    tls = true;
    return this;
  }

  /**
   * Encryption, with these authorities.
   *
   * @param file the authorities that may sign the server's certificate (PEM)
   */
  public ConnectOptions tls(File file) {
    authorities = file;
    return tls();
  }

  /**
   * The certificate of this client, where the server asks for one; implies {@link #tls()}.
   *
   * @param certificate the certificate (PEM)
   * @param key its key (PEM, PKCS #8)
   */
  public ConnectOptions clientCertificate(File certificate, File key) {
    this.certificate = certificate;
    this.certificateKey = key;
    return tls();
  }

  /** The name that the server's certificate must have, when it is not that of the address. */
  public ConnectOptions serverName(String name) {
    serverName = name;
    return this;
  }

  /**
   * How long a call may take with all its retries, and how long a stream may take to begin.
   *
   * @param timeout more than 0; default: 30 s
   */
  public ConnectOptions timeout(Duration timeout) {
    this.timeout = timeout;
    return this;
  }

  /**
   * How a connection that went silent is found.
   *
   * @param time the silence after which the server is asked for a sign of life; default: 8 s, which
   *     gRPC for Java reads as 10 s, its least
   * @param timeout how long the answer may take; default: 4 s
   */
  public ConnectOptions keepAlive(Duration time, Duration timeout) {
    keepAlive = time;
    keepAliveTimeout = timeout;
    return this;
  }

  /**
   * How patiently calls and mirrors are tried again. Pauses are random below a limit that doubles.
   *
   * @param initial the limit of the first pause; default: 0.1 s
   * @param max the highest limit; default: 5 s. What a server asks for comes on top
   */
  public ConnectOptions backoff(Duration initial, Duration max) {
    initialBackoff = initial;
    maxBackoff = max;
    return this;
  }

  /**
   * How often a call is sent at most before the server has ever answered, so that a wrong address
   * is soon told. A server that has answered once is waited for until the timeout of the call.
   *
   * @param attempts from 1, which turns retries off; default: 4
   */
  public ConnectOptions attempts(int attempts) {
    this.attempts = attempts;
    return this;
  }

  /**
   * After how long without a stream a mirror ends with UNAVAILABLE.
   *
   * @param time the time; default: it tries for ever
   */
  public ConnectOptions giveUpAfter(Duration time) {
    giveUpAfter = time;
    return this;
  }

  /**
   * The largest message that is accepted.
   *
   * @param bytes its size; default: 64 MiB
   */
  public ConnectOptions maxMessageBytes(int bytes) {
    maxMessageBytes = bytes;
    return this;
  }

  ConnectOptions checked() {
    for (Duration time :
        new Duration[] {timeout, keepAlive, keepAliveTimeout, initialBackoff, maxBackoff}) {
      if (time.isZero() || time.isNegative()) {
        throw TesseractException.invalid("MALFORMED_REQUEST", "times must be above 0", "options");
      }
    }
    if (attempts < 1 || maxMessageBytes < 1) {
      throw TesseractException.invalid(
          "MALFORMED_REQUEST", "attempts and maxMessageBytes are from 1 on", "options");
    }
    try {
      return (ConnectOptions) clone();
    } catch (CloneNotSupportedException e) {
      throw new IllegalStateException(e);
    }
  }
}
